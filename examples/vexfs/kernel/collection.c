// SPDX-License-Identifier: GPL-2.0
/* vexfs: making a file a collection, and loading it from the disk. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/slab.h>

#include "collection.h"

static u32 vexfs_header_checksum(struct inode *inode, const struct vexfs_collection *header)
{
	return vexfs_checksum(VEXFS_SB(inode->i_sb)->uuid, inode->i_ino, header, sizeof(*header));
}

/* The caller has the i_rwsem. */
int vexfs_write_header(struct inode *inode, u32 dimension, u32 metric, u32 cells,
		       u32 centroid_checksum)
{
	struct vexfs_collection header = {
		.magic = cpu_to_le32(VEXFS_COLLECTION_MAGIC),
		.dimension = cpu_to_le32(dimension),
		.metric = cpu_to_le32(metric),
		.cells = cpu_to_le32(cells),
		.centroid_checksum = cpu_to_le32(centroid_checksum),
		.generation = cpu_to_le32(inode->i_generation),
	};

	header.checksum = cpu_to_le32(vexfs_header_checksum(inode, &header));
	return vexfs_write_content(inode, 0, &header, sizeof(header));
}

static int vexfs_fill_new(struct inode *inode, u32 dimension, u32 metric)
{
	int error;

	i_size_write(inode, vexfs_group_pos(dimension, 0));
	error = vexfs_write_header(inode, dimension, metric, 0, 0);
	/* It has to be on the disk before the inode says that it is there. */
	if (!error)
		error = filemap_write_and_wait(inode->i_mapping);
	if (!error) {
		VEXFS_I(inode)->flags |= VEXFS_INODE_COLLECTION;
		vexfs_touch(inode);
		return 0;
	}
	truncate_setsize(inode, 0);
	vexfs_free_blocks(inode, 0);
	return error;
}

/* Makes an empty file a collection. */
int vexfs_collection_create(struct inode *inode, u32 dimension, u32 metric)
{
	struct vexfs_inode *vi = VEXFS_I(inode);
	int error;

	inode_lock(inode);
	if (vi->flags & VEXFS_INODE_COLLECTION) {
		error = -EEXIST;
	} else if (i_size_read(inode)) {
		error = -ENOTEMPTY;
	} else {
		/* As long as it is empty nobody has it mapped. */
		WRITE_ONCE(vi->sealed, true);
		error = vexfs_fill_new(inode, dimension, metric);
		if (error)
			WRITE_ONCE(vi->sealed, false);
	}
	inode_unlock(inode);
	return error;
}

/* Returns what is wrong with a header on the disk, or NULL. */
static const char *vexfs_header_fault(struct inode *inode, const struct vexfs_collection *header)
{
	u32 dimension = le32_to_cpu(header->dimension);
	u32 metric = le32_to_cpu(header->metric);
	loff_t size = i_size_read(inode), group_size;
	u64 groups;
	u32 rest;

	if (le32_to_cpu(header->magic) != VEXFS_COLLECTION_MAGIC)
		return "wrong magic";
	if (le32_to_cpu(header->checksum) != vexfs_header_checksum(inode, header))
		return "wrong checksum";
	if (le32_to_cpu(header->generation) != inode->i_generation)
		return "of an earlier file";
	if (!dimension || dimension > VEXFS_MAX_DIMENSION)
		return "wrong dimension";
	if (metric != VEXFS_METRIC_L2 && metric != VEXFS_METRIC_COSINE)
		return "unknown metric";
	if (le32_to_cpu(header->cells) > VEXFS_MAX_CELLS)
		return "too many cells";
	if (!header->cells && header->centroid_checksum)
		return "centroids without cells";
	if (memchr_inv(header->reserved, 0, sizeof(header->reserved)))
		return "reserved field in use";

	group_size = vexfs_group_pos(dimension, 0);
	groups = div_u64_rem(size, group_size, &rest);
	if (rest || !groups || groups - 1 > VEXFS_MAX_VECTORS / VEXFS_ENTRIES_PER_BLOCK)
		return "wrong size";
	return NULL;
}

static int vexfs_load_header(struct vexfs_reader *reader, struct vexfs_vectors *vectors,
			     void *block)
{
	const struct vexfs_collection *header = block;
	struct inode *inode = reader->inode;
	const char *fault = "wrong size";
	int error;

	if (i_size_read(inode) >= VEXFS_BLOCK_SIZE) {
		error = vexfs_read_content(reader, &reader->entries, 0, block, VEXFS_BLOCK_SIZE);
		if (error)
			return error;
		fault = vexfs_header_fault(inode, header);
		if (!fault && memchr_inv(header + 1, 0, VEXFS_BLOCK_SIZE - sizeof(*header)))
			fault = "something behind the header";
	}
	if (fault) {
		vexfs_damaged(inode->i_sb, "inode %llu, collection: %s", (u64)inode->i_ino, fault);
		return -EUCLEAN;
	}
	vectors->dimension = le32_to_cpu(header->dimension);
	vectors->metric = le32_to_cpu(header->metric);
	if (header->cells) {
		vectors->index = vexfs_index_load(reader, vectors, le32_to_cpu(header->cells),
						  le32_to_cpu(header->centroid_checksum));
		error = PTR_ERR_OR_ZERO(vectors->index);
		if (error) {
			vectors->index = NULL;
			return error;
		}
	}
	return 0;
}

static int vexfs_load_entry(struct inode *inode, struct vexfs_vectors *vectors, u32 id,
			    const struct vexfs_entry *entry)
{
	u32 cell = le16_to_cpu(entry->cell);
	const char *fault;

	fault = vexfs_entry_fault(inode, id, entry);
	if (!fault && id != vectors->ids)
		fault = "an id before it was never given";
	if (!fault && le16_to_cpu(entry->state) == VEXFS_ENTRY_LIVE) {
		if (vectors->index && cell >= vectors->index->cells)
			fault = "wrong cell";
		else
			vexfs_set_live(vectors, id, cell);
	}
	if (fault) {
		vexfs_damaged(inode->i_sb, "inode %llu, vector %u: %s", (u64)inode->i_ino, id,
			      fault);
		return -EUCLEAN;
	}
	vectors->ids = id + 1;
	return 0;
}

static int vexfs_load_group(struct vexfs_reader *reader, struct vexfs_vectors *vectors,
			    u32 first, struct vexfs_entry *entries)
{
	u32 slot;
	int error;

	error = vexfs_read_content(reader, &reader->entries,
				   vexfs_entry_pos(vectors->dimension, first),
				   entries, VEXFS_BLOCK_SIZE);
	if (error)
		return error;
	for (slot = 0; slot < VEXFS_ENTRIES_PER_BLOCK; slot++) {
		if (!vexfs_entry_is_given(&entries[slot]))
			continue;
		error = vexfs_groups_reserve(vectors, first + slot + 1);
		if (!error)
			error = vexfs_load_entry(reader->inode, vectors, first + slot,
						 &entries[slot]);
		if (error)
			return error;
	}
	return vexfs_breathe();
}

static int vexfs_load_vectors(struct vexfs_reader *reader, struct vexfs_vectors *vectors)
{
	loff_t size = i_size_read(reader->inode);
	void *block = kmalloc(VEXFS_BLOCK_SIZE, GFP_KERNEL);
	int error;
	u32 id;

	if (!block)
		return -ENOMEM;
	error = vexfs_load_header(reader, vectors, block);
	for (id = 0; !error && vexfs_entry_pos(vectors->dimension, id) < size;
	     id += VEXFS_ENTRIES_PER_BLOCK)
		error = vexfs_load_group(reader, vectors, id, block);
	kfree(block);
	return error;
}

/* Returns 0 with the collection in memory; -ENOTTY when the file is none. */
int vexfs_collection_load(struct inode *inode)
{
	struct vexfs_inode *vi = VEXFS_I(inode);
	struct vexfs_vectors *vectors;
	struct vexfs_reader reader;
	int error;

	if (vi->vectors)
		return 0;
	if (!(vi->flags & VEXFS_INODE_COLLECTION))
		return -ENOTTY;
	vectors = vexfs_vectors_alloc();
	if (!vectors)
		return -ENOMEM;

	vexfs_reader_init(&reader, inode);
	error = vexfs_load_vectors(&reader, vectors);
	vexfs_reader_release(&reader);
	if (error)
		vexfs_vectors_free(vectors);
	else
		vi->vectors = vectors;
	return error;
}

/* The inode leaves memory; nobody uses it any more. */
void vexfs_collection_forget(struct inode *inode)
{
	struct vexfs_inode *vi = VEXFS_I(inode);

	if (vi->vectors)
		vexfs_vectors_free(vi->vectors);
	vi->vectors = NULL;
}
