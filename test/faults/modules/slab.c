// SPDX-License-Identifier: GPL-2.0
/*
 * faults: objects used beyond their bounds or their life.
 *
 * They come from a cache that checks itself, as slub_debug=FZPU makes all caches
 * do: so these faults are noticed on a kernel that was booted without it, too.
 */
#include <linux/errno.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "faults.h"

#define OBJECT_SIZE	64

static const slab_flags_t checks = SLAB_CONSISTENCY_CHECKS | SLAB_RED_ZONE |
				   SLAB_POISON | SLAB_STORE_USER;

/* Volatile, so that the compiler does not see what is wrong. */
static char *volatile object;

static struct kmem_cache *make_cache(void)
{
	return kmem_cache_create("faults_object", OBJECT_SIZE, 0, checks, NULL);
}

static noinline int fault_slab_overrun(void)
{
	struct kmem_cache *cache = make_cache();

	if (!cache)
		return -ENOMEM;
	object = kmem_cache_alloc(cache, GFP_KERNEL);
	if (!object)
		return -ENOMEM;
	object[OBJECT_SIZE] = 'x';
	kmem_cache_free(cache, object);
	return 0;
}

static noinline int fault_double_free(void)
{
	struct kmem_cache *cache = make_cache();

	if (!cache)
		return -ENOMEM;
	object = kmem_cache_alloc(cache, GFP_KERNEL);
	kmem_cache_free(cache, object);
	kmem_cache_free(cache, object);
	return 0;
}

static noinline int fault_use_after_free(void)
{
	struct kmem_cache *cache = make_cache();

	if (!cache)
		return -ENOMEM;
	object = kmem_cache_alloc(cache, GFP_KERNEL);
	kmem_cache_free(cache, object);
	object[8] = 'x';
	/* The cache looks at its free objects when it hands them out. */
	object = kmem_cache_alloc(cache, GFP_KERNEL);
	return 0;
}

/* The kernel's own caches, which check themselves with slub_debug only. */
static noinline int fault_kmalloc_overrun(void)
{
	object = kmalloc(OBJECT_SIZE, GFP_KERNEL);
	if (!object)
		return -ENOMEM;
	object[OBJECT_SIZE] = 'x';
	kfree(object);
	return 0;
}

static noinline int fault_kmalloc_use_after_free(void)
{
	object = kmalloc(OBJECT_SIZE, GFP_KERNEL);
	if (!object)
		return -ENOMEM;
	kfree(object);
	object[8] = 'x';
	return 0;
}

/* Of a kernel without slub_debug, only the free list is hardened. */
static noinline int fault_kmalloc_double_free(void)
{
	object = kmalloc(OBJECT_SIZE, GFP_KERNEL);
	kfree(object);
	kfree(object);
	return 0;
}

/* The cache is destroyed while an object of it still lives. */
static noinline int fault_leak(void)
{
	struct kmem_cache *cache = make_cache();

	if (!cache)
		return -ENOMEM;
	object = kmem_cache_alloc(cache, GFP_KERNEL);
	kmem_cache_destroy(cache);
	return 0;
}

/* Reported by kmemleak only. */
static noinline int fault_kmalloc_leak(void)
{
	object = kmalloc(OBJECT_SIZE, GFP_KERNEL);
	object = NULL;
	return 0;
}

const struct fault slab_faults[] = {
	{ "slab-overrun", fault_slab_overrun },
	{ "double-free", fault_double_free },
	{ "use-after-free", fault_use_after_free },
	{ "kmalloc-overrun", fault_kmalloc_overrun },
	{ "kmalloc-use-after-free", fault_kmalloc_use_after_free },
	{ "kmalloc-double-free", fault_kmalloc_double_free },
	{ "leak", fault_leak },
	{ "kmalloc-leak", fault_kmalloc_leak },
	{ }
};
