// SPDX-License-Identifier: GPL-2.0
/*
 * vexfs: the k nearest of many.
 *
 * A heap with the farthest at its top: what is farther than that is passed
 * over, what is nearer takes its place.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/sort.h>

#include "collection.h"

/* Of two that are as far, the one with the larger id counts as farther. */
static int vexfs_compare(const void *one, const void *other)
{
	const struct vexfs_result *a = one, *b = other;

	if (a->distance != b->distance)
		return a->distance < b->distance ? -1 : 1;
	if (a->id != b->id)
		return a->id < b->id ? -1 : 1;
	return 0;
}

static void vexfs_heap_up(struct vexfs_result *heap, u32 place)
{
	while (place) {
		u32 parent = (place - 1) / 2;

		if (vexfs_compare(&heap[parent], &heap[place]) >= 0)
			break;
		swap(heap[parent], heap[place]);
		place = parent;
	}
}

static void vexfs_heap_down(struct vexfs_result *heap, u32 count)
{
	u32 place = 0, child;

	while ((child = 2 * place + 1) < count) {
		if (child + 1 < count && vexfs_compare(&heap[child], &heap[child + 1]) < 0)
			child++;
		if (vexfs_compare(&heap[place], &heap[child]) >= 0)
			break;
		swap(heap[place], heap[child]);
		place = child;
	}
}

void vexfs_nearest_add(struct vexfs_nearest *nearest, u64 id, u64 distance)
{
	struct vexfs_result result = { .id = id, .distance = distance };

	if (nearest->found < nearest->limit) {
		nearest->results[nearest->found] = result;
		vexfs_heap_up(nearest->results, nearest->found++);
	} else if (vexfs_compare(&result, &nearest->results[0]) < 0) {
		nearest->results[0] = result;
		vexfs_heap_down(nearest->results, nearest->found);
	}
}

/* The nearest first; nothing can be added afterwards. */
void vexfs_nearest_sort(struct vexfs_nearest *nearest)
{
	sort(nearest->results, nearest->found, sizeof(*nearest->results), vexfs_compare, NULL);
}
