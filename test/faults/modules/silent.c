// SPDX-License-Identifier: GPL-2.0
/* faults: what is wrong and goes well, on a kernel that does not look for it. */
#include <linux/errno.h>
#include <linux/mutex.h>
#include <linux/slab.h>

#include "faults.h"

/* Not a power of two: the slab's object is longer. */
#define OBJECT_SIZE	50
#define ARRAY_SIZE_HERE	13

static DEFINE_MUTEX(first);
static DEFINE_MUTEX(second);

/* Volatile, so that the compiler does not see what is wrong. */
static volatile char global[ARRAY_SIZE_HERE];
static volatile size_t beyond_object = OBJECT_SIZE;
static volatile size_t beyond_array = ARRAY_SIZE_HERE;
static volatile char taken;

static noinline int fault_lock_order(void)
{
	mutex_lock(&first);
	mutex_lock(&second);
	mutex_unlock(&second);
	mutex_unlock(&first);

	mutex_lock(&second);
	mutex_lock(&first);
	mutex_unlock(&first);
	mutex_unlock(&second);
	return 0;
}

static noinline int fault_read_beyond(void)
{
	volatile char *object = kmalloc(OBJECT_SIZE, GFP_KERNEL);

	if (!object)
		return -ENOMEM;
	taken = object[beyond_object];
	kfree((void *)object);
	return 0;
}

static noinline int fault_read_freed(void)
{
	volatile char *object = kmalloc(OBJECT_SIZE, GFP_KERNEL);

	if (!object)
		return -ENOMEM;
	kfree((void *)object);
	taken = object[8];
	return 0;
}

static noinline int fault_read_beyond_stack(void)
{
	volatile char here[ARRAY_SIZE_HERE];

	here[0] = 1;
	taken = here[beyond_array];
	return 0;
}

static noinline int fault_read_beyond_global(void)
{
	taken = global[beyond_array];
	return 0;
}

const struct fault silent_faults[] = {
	{ "lock-order", fault_lock_order },
	{ "read-beyond", fault_read_beyond },
	{ "read-freed", fault_read_freed },
	{ "read-beyond-stack", fault_read_beyond_stack },
	{ "read-beyond-global", fault_read_beyond_global },
	{ }
};
