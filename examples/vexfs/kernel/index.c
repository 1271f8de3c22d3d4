// SPDX-License-Identifier: GPL-2.0
/*
 * vexfs: the index of a collection, an inverted file (docs/collections.md).
 *
 * Each vector is in the cell of the centroid that is nearest to it.  On the
 * disk its entry says in which; memory has a list for each cell.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/slab.h>

#include "collection.h"

void vexfs_index_free(struct vexfs_index *index)
{
	if (!index)
		return;
	kvfree(index->first);
	kvfree(index->norms);
	kvfree(index->centroids);
	kfree(index);
}

/* An index with centroids of zeros and empty cells, or NULL. */
struct vexfs_index *vexfs_index_alloc(u32 cells, u32 dimension)
{
	struct vexfs_index *index = kzalloc(sizeof(*index), GFP_KERNEL_ACCOUNT);
	u32 cell;

	if (!index)
		return NULL;
	index->cells = cells;
	index->centroids = kvcalloc(cells * dimension, sizeof(*index->centroids),
				    GFP_KERNEL_ACCOUNT);
	index->norms = kvcalloc(cells, sizeof(*index->norms), GFP_KERNEL_ACCOUNT);
	index->first = kvcalloc(cells, sizeof(*index->first), GFP_KERNEL_ACCOUNT);
	if (!index->centroids || !index->norms || !index->first) {
		vexfs_index_free(index);
		return NULL;
	}
	for (cell = 0; cell < cells; cell++)
		index->first[cell] = VEXFS_NO_ID;
	return index;
}

u64 vexfs_index_distance(const struct vexfs_vectors *vectors, const struct vexfs_index *index,
			 u32 cell, const struct vexfs_point *point)
{
	struct vexfs_point centroid = {
		.components = index->centroids + cell * vectors->dimension,
		.norm = index->norms[cell],
	};

	return vexfs_distance(vectors->metric, &centroid, point, vectors->dimension);
}

/* The cell of the nearest centroid; of two that are as near, the smaller one. */
u32 vexfs_index_cell(const struct vexfs_vectors *vectors, const struct vexfs_index *index,
		     const struct vexfs_point *point)
{
	u64 least = U64_MAX;
	u32 cell, nearest = 0;

	for (cell = 0; cell < index->cells; cell++) {
		u64 distance = vexfs_index_distance(vectors, index, cell, point);

		if (distance < least) {
			least = distance;
			nearest = cell;
		}
	}
	return nearest;
}

static u32 vexfs_centroid_checksum(struct inode *inode, const __le16 *centroids, size_t size)
{
	return vexfs_data_checksum(VEXFS_SB(inode->i_sb)->uuid, inode->i_ino, centroids, size);
}

/* Reads the centroids; the cells are filled as the vectors are loaded. */
struct vexfs_index *vexfs_index_load(struct vexfs_reader *reader,
				     const struct vexfs_vectors *vectors, u32 cells,
				     u32 checksum)
{
	struct inode *inode = reader->inode;
	u32 i, dimension = vectors->dimension;
	size_t size = cells * dimension * sizeof(__le16);
	struct vexfs_index *index;
	__le16 *raw;
	int error;

	index = vexfs_index_alloc(cells, dimension);
	if (!index)
		return ERR_PTR(-ENOMEM);
	raw = (__force __le16 *)index->centroids;
	error = vexfs_read_content(reader, &reader->components, VEXFS_BLOCK_SIZE, raw, size);
	if (!error && checksum != vexfs_centroid_checksum(inode, raw, size)) {
		vexfs_damaged(inode->i_sb, "inode %llu, collection: wrong checksum of the centroids",
			      (u64)inode->i_ino);
		error = -EUCLEAN;
	}
	if (error) {
		vexfs_index_free(index);
		return ERR_PTR(error);
	}
	for (i = 0; i < cells * dimension; i++)
		index->centroids[i] = le16_to_cpu(raw[i]);
	for (i = 0; i < cells; i++)
		index->norms[i] = vexfs_norm(vectors->metric, index->centroids + i * dimension,
					     dimension);
	return index;
}

/* Says in the header whether there is an index. */
static int vexfs_index_announce(struct inode *inode, u32 cells, u32 checksum)
{
	struct vexfs_vectors *vectors = VEXFS_I(inode)->vectors;
	int error;

	inode_lock(inode);
	error = vexfs_write_header(inode, vectors->dimension, vectors->metric, cells, checksum);
	if (!error)
		vexfs_touch(inode);
	inode_unlock(inode);
	return error;
}

static int vexfs_write_centroids(struct inode *inode, const struct vexfs_index *index,
				 u32 *checksum)
{
	u32 i, count = index->cells * VEXFS_I(inode)->vectors->dimension;
	__le16 *raw = kvmalloc_array(count, sizeof(*raw), GFP_KERNEL);
	int error;

	if (!raw)
		return -ENOMEM;
	for (i = 0; i < count; i++)
		raw[i] = cpu_to_le16(index->centroids[i]);
	*checksum = vexfs_centroid_checksum(inode, raw, count * sizeof(*raw));
	inode_lock(inode);
	error = vexfs_write_content(inode, VEXFS_BLOCK_SIZE, raw, count * sizeof(*raw));
	inode_unlock(inode);
	kvfree(raw);
	return error;
}

/* Changes the entries of a group, from id @first on, to say what @cell_of does. */
static int vexfs_write_cells_of_group(struct vexfs_reader *reader, u32 first, u32 count,
				      const u16 *cell_of, struct vexfs_entry *entries)
{
	struct inode *inode = reader->inode;
	struct vexfs_vectors *vectors = VEXFS_I(inode)->vectors;
	loff_t pos = vexfs_entry_pos(vectors->dimension, first);
	int error;
	u32 i;

	error = vexfs_read_content(reader, &reader->entries, pos, entries,
				   count * sizeof(*entries));
	if (error)
		return error;
	for (i = 0; i < count; i++) {
		if (!vexfs_is_live(vectors, first + i))
			continue;
		/* Not to give a wrong entry a right checksum. */
		error = vexfs_entry_check(inode, first + i, &entries[i]);
		if (error)
			return error;
		entries[i].cell = cpu_to_le16(cell_of[first + i]);
		vexfs_entry_seal(inode, first + i, &entries[i]);
	}
	inode_lock(inode);
	error = vexfs_write_content(inode, pos, entries, count * sizeof(*entries));
	inode_unlock(inode);
	return error ?: vexfs_breathe();
}

static int vexfs_write_cells(struct inode *inode, const u16 *cell_of)
{
	struct vexfs_vectors *vectors = VEXFS_I(inode)->vectors;
	struct vexfs_entry *entries;
	struct vexfs_reader reader;
	int error = 0;
	u32 id;

	entries = kmalloc(VEXFS_BLOCK_SIZE, GFP_KERNEL);
	if (!entries)
		return -ENOMEM;
	vexfs_reader_init(&reader, inode);
	for (id = 0; !error && id < vectors->ids; id += VEXFS_ENTRIES_PER_BLOCK)
		error = vexfs_write_cells_of_group(&reader, id,
						   min_t(u32, vectors->ids - id,
							 VEXFS_ENTRIES_PER_BLOCK),
						   cell_of, entries);
	vexfs_reader_release(&reader);
	kfree(entries);
	return error;
}

static void vexfs_index_install(struct vexfs_vectors *vectors, struct vexfs_index *index,
				const u16 *cell_of)
{
	u32 id;

	for (id = vexfs_next_live(vectors, 0); id < vectors->ids;
	     id = vexfs_next_live(vectors, id + 1))
		vexfs_link(vectors, index, id, cell_of[id]);
	vectors->index = index;
}

/*
 * Puts @index in the place of what was there; NULL is none.  At whatever point
 * the power fails, the disk has a whole index or says that there is none.
 */
static int vexfs_index_replace(struct file *file, struct vexfs_index *index, const u16 *cell_of)
{
	struct inode *inode = file_inode(file);
	struct vexfs_vectors *vectors = VEXFS_I(inode)->vectors;
	u32 checksum;
	int error;

	if (vectors->index) {
		error = vexfs_index_announce(inode, 0, 0);
		if (error)
			return error;
		vexfs_index_free(vectors->index);
		vectors->index = NULL;
		error = vfs_fsync(file, 0);
		if (error)
			return error;
	}
	error = vexfs_write_cells(inode, cell_of);
	if (error || !index)
		return error;

	error = vexfs_write_centroids(inode, index, &checksum);
	if (!error)
		error = vfs_fsync(file, 0);
	if (!error)
		error = vexfs_index_announce(inode, index->cells, checksum);
	if (error)
		return error;
	vexfs_index_install(vectors, index, cell_of);
	return vfs_fsync(file, 0);
}

/* Makes the index anew from all live vectors; @cells 0 removes it. */
int vexfs_index_make(struct file *file, u32 cells, u32 iterations, u64 seed)
{
	struct inode *inode = file_inode(file);
	struct vexfs_vectors *vectors = VEXFS_I(inode)->vectors;
	struct vexfs_index *index = NULL;
	u16 *cell_of;
	int error = 0;

	if (vectors->live < cells)
		return -ENODATA;
	if (!cells && !vectors->index)
		return 0;
	cell_of = kvcalloc(max(vectors->ids, 1U), sizeof(*cell_of), GFP_KERNEL);
	if (!cell_of)
		return -ENOMEM;
	if (cells) {
		index = vexfs_index_alloc(cells, vectors->dimension);
		error = index ? vexfs_kmeans(inode, index, iterations, seed, cell_of) : -ENOMEM;
	}
	if (!error)
		error = vexfs_index_replace(file, index, cell_of);
	if (vectors->index != index)
		vexfs_index_free(index);
	kvfree(cell_of);
	return error;
}
