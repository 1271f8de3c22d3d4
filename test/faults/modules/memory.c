// SPDX-License-Identifier: GPL-2.0
/* faults: all of the stack, and all of the memory. */
#include <linux/compiler.h>
#include <linux/errno.h>
#include <linux/gfp.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>

#include "faults.h"

static noinline int fault_stack_overflow_deeper(volatile char *above)
{
	volatile char here[256];

	here[0] = above[0] + 1;
	return fault_stack_overflow_deeper(here) + here[0];
}

static noinline int fault_stack_overflow(void)
{
	volatile char first = 0;

	return fault_stack_overflow_deeper(&first);
}

/* Until the kernel kills who loads the module. */
static noinline int fault_out_of_memory(void)
{
	struct page *page, *next;
	LIST_HEAD(pages);

	while (!fatal_signal_pending(current)) {
		page = alloc_page(GFP_KERNEL);
		if (!page)
			break;
		list_add(&page->lru, &pages);
	}
	list_for_each_entry_safe(page, next, &pages, lru)
		__free_page(page);
	return -ENOMEM;
}

const struct fault memory_faults[] = {
	{ "stack-overflow", fault_stack_overflow },
	{ "out-of-memory", fault_out_of_memory },
	{ }
};
