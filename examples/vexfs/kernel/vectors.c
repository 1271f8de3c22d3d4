// SPDX-License-Identifier: GPL-2.0
/*
 * vexfs: what memory knows of the vectors of a collection.
 *
 * Which ids are live, and the lists of the index; the vectors themselves stay
 * in the page cache.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/slab.h>

#include "collection.h"

/* Nothing is known yet; NULL: no memory. */
struct vexfs_vectors *vexfs_vectors_alloc(void)
{
	struct vexfs_vectors *vectors = kzalloc(sizeof(*vectors), GFP_KERNEL_ACCOUNT);

	if (vectors)
		xa_init(&vectors->groups);
	return vectors;
}

void vexfs_vectors_free(struct vexfs_vectors *vectors)
{
	struct vexfs_group *group;
	unsigned long index;

	xa_for_each(&vectors->groups, index, group)
		kfree(group);
	xa_destroy(&vectors->groups);
	vexfs_index_free(vectors->index);
	kfree(vectors);
}

static struct vexfs_group *vexfs_group(struct vexfs_vectors *vectors, u32 id)
{
	return xa_load(&vectors->groups, id / VEXFS_ENTRIES_PER_BLOCK);
}

/* Makes room in memory for the ids below @ids. */
int vexfs_groups_reserve(struct vexfs_vectors *vectors, u32 ids)
{
	u32 index, count = DIV_ROUND_UP(ids, VEXFS_ENTRIES_PER_BLOCK);
	int error;

	for (index = vectors->ids / VEXFS_ENTRIES_PER_BLOCK; index < count; index++) {
		struct vexfs_group *group;

		if (xa_load(&vectors->groups, index))
			continue;
		group = kzalloc(sizeof(*group), GFP_KERNEL_ACCOUNT);
		if (!group)
			return -ENOMEM;
		error = xa_err(xa_store(&vectors->groups, index, group, GFP_KERNEL_ACCOUNT));
		if (error) {
			kfree(group);
			return error;
		}
	}
	return 0;
}

/* Puts a vector at the head of its cell's list. */
void vexfs_link(struct vexfs_vectors *vectors, struct vexfs_index *index, u32 id, u32 cell)
{
	struct vexfs_group *group = vexfs_group(vectors, id);

	group->next[id % VEXFS_ENTRIES_PER_BLOCK] = index->first[cell];
	index->first[cell] = id;
}

/* The id behind this one in the same cell. */
u32 vexfs_next_in_cell(struct vexfs_vectors *vectors, u32 id)
{
	return vexfs_group(vectors, id)->next[id % VEXFS_ENTRIES_PER_BLOCK];
}

void vexfs_set_live(struct vexfs_vectors *vectors, u32 id, u32 cell)
{
	__set_bit(id % VEXFS_ENTRIES_PER_BLOCK, vexfs_group(vectors, id)->live);
	vectors->live++;
	if (vectors->index)
		vexfs_link(vectors, vectors->index, id, cell);
}

/* It stays in its cell's list, where it is passed over. */
void vexfs_set_deleted(struct vexfs_vectors *vectors, u32 id)
{
	__clear_bit(id % VEXFS_ENTRIES_PER_BLOCK, vexfs_group(vectors, id)->live);
	vectors->live--;
}

bool vexfs_is_live(struct vexfs_vectors *vectors, u64 id)
{
	return id < vectors->ids &&
	       test_bit(id % VEXFS_ENTRIES_PER_BLOCK, vexfs_group(vectors, id)->live);
}

/* Returns the first live id from @id on; when there is none, the number of ids given. */
u32 vexfs_next_live(struct vexfs_vectors *vectors, u32 id)
{
	while (id < vectors->ids) {
		u32 slot = find_next_bit(vexfs_group(vectors, id)->live, VEXFS_ENTRIES_PER_BLOCK,
					 id % VEXFS_ENTRIES_PER_BLOCK);

		id = round_down(id, VEXFS_ENTRIES_PER_BLOCK) + slot;
		if (slot < VEXFS_ENTRIES_PER_BLOCK)
			return id;
	}
	return vectors->ids;
}
