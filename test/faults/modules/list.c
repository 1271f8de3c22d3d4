// SPDX-License-Identifier: GPL-2.0
/* faults: lists whose links contradict each other. */
#include <linux/list.h>

#include "faults.h"

static LIST_HEAD(queue);
static struct list_head entry;

static noinline int fault_list_add_twice(void)
{
	list_add(&entry, &queue);
	list_add(&entry, &queue);
	return 0;
}

static noinline int fault_list_del_twice(void)
{
	list_add(&entry, &queue);
	list_del(&entry);
	list_del(&entry);
	return 0;
}

const struct fault list_faults[] = {
	{ "list-add-twice", fault_list_add_twice },
	{ "list-del-twice", fault_list_del_twice },
	{ }
};
