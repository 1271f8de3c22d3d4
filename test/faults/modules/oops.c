// SPDX-License-Identifier: GPL-2.0
/* faults: what the processor refuses to do. */
#include <linux/compiler.h>
#include <linux/types.h>

#include "faults.h"

/* Volatile, so that the compiler does not see what is wrong. */
static int *volatile nowhere;
static volatile unsigned long unmapped = 0xffffc8deadbee000UL;
static volatile unsigned long non_canonical = 0xdeadbeefdeadbeefUL;
static volatile int dividend = 100;
static volatile int zero;

static noinline int fault_null_pointer(void)
{
	*nowhere = 1;
	return 0;
}

static noinline int fault_page_fault(void)
{
	return *(int *)unmapped;
}

static noinline int fault_general_protection(void)
{
	return *(int *)non_canonical;
}

static noinline int fault_invalid_opcode(void)
{
	/* UD0: unlike UD2, the kernel itself has no use for it. */
	asm volatile(".byte 0x0f, 0xff, 0xc0");
	return 0;
}

static noinline int fault_divide_error(void)
{
	return dividend / zero;
}

const struct fault oops_faults[] = {
	{ "null-pointer", fault_null_pointer },
	{ "page-fault", fault_page_fault },
	{ "general-protection", fault_general_protection },
	{ "invalid-opcode", fault_invalid_opcode },
	{ "divide-error", fault_divide_error },
	{ }
};
