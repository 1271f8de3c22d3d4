// SPDX-License-Identifier: GPL-2.0
/* vexfs: inserting, fetching and deleting vectors of a collection. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/slab.h>

#include "collection.h"

/* What an insertion is going to write. */
struct vexfs_insertion {
	struct inode *inode;
	struct vexfs_vectors *vectors;
	u32 first;
	u32 count;
	__le16 *components;		/* [count][dimension] */
	struct vexfs_entry *entries;	/* [count] */
};

static int vexfs_insertion_prepare(struct vexfs_insertion *new, const s16 *components)
{
	struct vexfs_vectors *vectors = new->vectors;
	u32 dimension = vectors->dimension;
	u32 i, j;

	for (i = 0; i < new->count; i++) {
		__le16 *to = new->components + (size_t)i * dimension;
		struct vexfs_entry *entry = &new->entries[i];
		struct vexfs_point point = {
			.components = components + (size_t)i * dimension,
		};
		int error = vexfs_breathe();

		if (error)
			return error;
		for (j = 0; j < dimension; j++)
			to[j] = cpu_to_le16(point.components[j]);
		entry->state = cpu_to_le16(VEXFS_ENTRY_LIVE);
		entry->data_checksum = cpu_to_le32(vexfs_components_checksum(new->inode,
									     new->first + i, to));
		if (vectors->index) {
			point.norm = vexfs_norm(vectors->metric, point.components, dimension);
			entry->cell = cpu_to_le16(vexfs_index_cell(vectors, vectors->index,
								   &point));
		}
		vexfs_entry_seal(new->inode, new->first + i, entry);
	}
	return 0;
}

/*
 * Writes something of each of the new vectors: @size bytes that are for the
 * first one at @place.  What is of one group has no gap on the disk.
 */
static int vexfs_insertion_write(const struct vexfs_insertion *new,
				 loff_t (*place)(u32 dimension, u32 id),
				 const void *data, size_t size)
{
	u32 done = 0;

	while (done < new->count) {
		u32 id = new->first + done;
		u32 part = min_t(u32, new->count - done,
				 VEXFS_ENTRIES_PER_BLOCK - id % VEXFS_ENTRIES_PER_BLOCK);
		int error;

		error = vexfs_write_content(new->inode, place(new->vectors->dimension, id),
					    data ? data + done * size : NULL, part * size);
		if (error)
			return error;
		done += part;
	}
	return 0;
}

/*
 * The vectors are there when their entries are.  These are written twice: at
 * first zeros, so that a full disk is found out before any of them counts.
 */
static int vexfs_insertion_write_all(const struct vexfs_insertion *new)
{
	size_t vector_size = new->vectors->dimension * sizeof(*new->components);
	int error;

	error = vexfs_insertion_write(new, vexfs_components_pos, new->components, vector_size);
	if (error)
		return error;
	error = vexfs_insertion_write(new, vexfs_entry_pos, NULL, VEXFS_ENTRY_SIZE);
	if (error)
		return error;
	error = vexfs_insertion_write(new, vexfs_entry_pos, new->entries, VEXFS_ENTRY_SIZE);
	if (error)
		vexfs_insertion_write(new, vexfs_entry_pos, NULL, VEXFS_ENTRY_SIZE);
	return error;
}

static int vexfs_insertion_commit(const struct vexfs_insertion *new)
{
	struct inode *inode = new->inode;
	loff_t before, after;
	u32 last_group;
	int error;

	inode_lock(inode);
	/* First the size, by whole groups: writeback leaves out what is beyond it. */
	last_group = (new->first + new->count - 1) / VEXFS_ENTRIES_PER_BLOCK;
	before = i_size_read(inode);
	after = max(before, vexfs_group_pos(new->vectors->dimension, last_group + 1));
	i_size_write(inode, after);
	error = vexfs_insertion_write_all(new);
	if (!error) {
		vexfs_touch(inode);
	} else if (after != before) {
		truncate_setsize(inode, before);
		vexfs_free_blocks(inode, before >> VEXFS_BLOCK_BITS);
	}
	inode_unlock(inode);
	return error;
}

/* Adds @count vectors of the collection's dimension, all or none. */
int vexfs_insert(struct inode *inode, const s16 *components, u32 count, u64 *first)
{
	struct vexfs_vectors *vectors = VEXFS_I(inode)->vectors;
	struct vexfs_insertion new = {
		.inode = inode,
		.vectors = vectors,
		.first = vectors->ids,
		.count = count,
	};
	int error;
	u32 i;

	if (count > VEXFS_MAX_VECTORS - vectors->ids)
		return -EFBIG;
	error = vexfs_groups_reserve(vectors, vectors->ids + count);
	if (error)
		return error;

	new.components = kvmalloc_array(count, vectors->dimension * sizeof(*new.components),
					GFP_KERNEL);
	new.entries = kvcalloc(count, sizeof(*new.entries), GFP_KERNEL);
	error = -ENOMEM;
	if (new.components && new.entries)
		error = vexfs_insertion_prepare(&new, components);
	if (!error)
		error = vexfs_insertion_commit(&new);
	if (!error) {
		vectors->ids += count;
		for (i = 0; i < count; i++)
			vexfs_set_live(vectors, new.first + i, le16_to_cpu(new.entries[i].cell));
		*first = new.first;
	}
	kvfree(new.entries);
	kvfree(new.components);
	return error;
}

int vexfs_fetch(struct inode *inode, u64 id, s16 *components)
{
	struct vexfs_reader reader;
	int error;

	if (!vexfs_is_live(VEXFS_I(inode)->vectors, id))
		return -ENOENT;
	vexfs_reader_init(&reader, inode);
	error = vexfs_components_read(&reader, id, components);
	vexfs_reader_release(&reader);
	return error;
}

static int vexfs_write_entry(struct inode *inode, u32 id, const struct vexfs_entry *entry)
{
	loff_t pos = vexfs_entry_pos(VEXFS_I(inode)->vectors->dimension, id);
	int error;

	inode_lock(inode);
	error = vexfs_write_content(inode, pos, entry, sizeof(*entry));
	if (!error)
		vexfs_touch(inode);
	inode_unlock(inode);
	return error;
}

int vexfs_delete(struct inode *inode, u64 id)
{
	struct vexfs_vectors *vectors = VEXFS_I(inode)->vectors;
	struct vexfs_reader reader;
	struct vexfs_entry entry;
	int error;

	if (!vexfs_is_live(vectors, id))
		return -ENOENT;
	vexfs_reader_init(&reader, inode);
	error = vexfs_entry_read(&reader, id, &entry);
	vexfs_reader_release(&reader);
	if (error)
		return error;

	entry.state = cpu_to_le16(VEXFS_ENTRY_DELETED);
	entry.cell = 0;
	vexfs_entry_seal(inode, id, &entry);
	error = vexfs_write_entry(inode, id, &entry);
	if (!error)
		vexfs_set_deleted(vectors, id);
	return error;
}
