// SPDX-License-Identifier: GPL-2.0
/* faults: what a module itself can say is wrong. */
#include <linux/bug.h>
#include <linux/errno.h>
/* It has panic(), itself or by a header of its own. */
#include <linux/kernel.h>
#include <linux/printk.h>

#include "faults.h"

#define FLOOD_LINES	20000

static volatile int always = 1;

static noinline int fault_bug(void)
{
	BUG_ON(always);
	return 0;
}

static noinline int fault_warn(void)
{
	WARN_ON(always);
	return 0;
}

static noinline int fault_warn_text(void)
{
	WARN(always, "fault: the answer was %d\n", 42);
	return 0;
}

static noinline int fault_panic(void)
{
	if (always)
		panic("fault: nothing goes any more, code %d", 7);
	return 0;
}

static noinline int fault_init_error(void)
{
	return -EIO;
}

static noinline int fault_printk_flood(void)
{
	int i;

	for (i = 0; i < FLOOD_LINES; i++)
		pr_info("fault: line %d of a flood that says nothing at all\n", i);
	return 0;
}

const struct fault report_faults[] = {
	{ "bug", fault_bug },
	{ "warn", fault_warn },
	{ "warn-text", fault_warn_text },
	{ "panic", fault_panic },
	{ "init-error", fault_init_error },
	{ "printk-flood", fault_printk_flood },
	{ }
};
