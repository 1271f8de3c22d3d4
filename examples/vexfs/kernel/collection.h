/* SPDX-License-Identifier: GPL-2.0 */
/* vexfs: what the files about collections share; docs/collections.md explains them. */
#ifndef VEXFS_COLLECTION_H
#define VEXFS_COLLECTION_H

#include <linux/bitmap.h>
#include <linux/sched/signal.h>
#include <linux/xarray.h>

#include "vexfs.h"
#include "vexfs_ffi.h"

#define VEXFS_NO_ID	U32_MAX

/* As many vectors as there are entries in a block. */
struct vexfs_group {
	DECLARE_BITMAP(live, VEXFS_ENTRIES_PER_BLOCK);
	u32 next[VEXFS_ENTRIES_PER_BLOCK];	/* id of the next one in the same cell */
};

/* The index in memory. */
struct vexfs_index {
	u32 cells;
	s16 *centroids;			/* [cells][dimension] */
	u32 *norms;			/* of the centroids */
	u32 *first;			/* id at the head of each cell's list */
};

/*
 * What memory knows of a collection, from its first use until the inode is
 * evicted; vexfs_inode.collection_lock guards it.
 */
struct vexfs_vectors {
	u32 dimension;
	u32 metric;
	u32 ids;			/* given so far */
	u32 live;			/* of these, not deleted */
	struct xarray groups;		/* struct vexfs_group */
	struct vexfs_index *index;	/* NULL: there is none */
};

/* A vector with what the metric needs to know of it each time: vexfs_norm(). */
struct vexfs_point {
	const s16 *components;
	u32 norm;
};

/* Number of blocks of a group's components, and of the centroids. */
static inline u32 vexfs_component_blocks(u32 dimension)
{
	return DIV_ROUND_UP(dimension * sizeof(__le16) * VEXFS_ENTRIES_PER_BLOCK,
			    VEXFS_BLOCK_SIZE);
}

/* Where a group is; the header and the centroids take as much room as one. */
static inline loff_t vexfs_group_pos(u32 dimension, u32 group)
{
	return (loff_t)(1 + group) * (1 + vexfs_component_blocks(dimension)) << VEXFS_BLOCK_BITS;
}

static inline loff_t vexfs_entry_pos(u32 dimension, u32 id)
{
	return vexfs_group_pos(dimension, id / VEXFS_ENTRIES_PER_BLOCK) +
	       id % VEXFS_ENTRIES_PER_BLOCK * VEXFS_ENTRY_SIZE;
}

static inline loff_t vexfs_components_pos(u32 dimension, u32 id)
{
	return vexfs_group_pos(dimension, id / VEXFS_ENTRIES_PER_BLOCK) + VEXFS_BLOCK_SIZE +
	       (loff_t)(id % VEXFS_ENTRIES_PER_BLOCK) * dimension * sizeof(__le16);
}

/* For each step of what may take long. */
static inline int vexfs_breathe(void)
{
	cond_resched();
	return fatal_signal_pending(current) ? -EINTR : 0;
}

/* content.c */
struct vexfs_window {
	struct vexfs_folio *folio;	/* NULL: it is nowhere yet */
	pgoff_t index;
};

struct vexfs_reader {
	struct inode *inode;
	struct file_ra_state readahead;
	struct vexfs_window entries;
	struct vexfs_window components;
};

void vexfs_reader_init(struct vexfs_reader *reader, struct inode *inode);
void vexfs_reader_release(struct vexfs_reader *reader);
int vexfs_read_content(struct vexfs_reader *reader, struct vexfs_window *window, loff_t pos,
		       void *data, size_t size);
int vexfs_write_content(struct inode *inode, loff_t pos, const void *data, size_t size);

/* entry.c */
bool vexfs_entry_is_given(const struct vexfs_entry *entry);
const char *vexfs_entry_fault(struct inode *inode, u32 id, const struct vexfs_entry *entry);
void vexfs_entry_seal(struct inode *inode, u32 id, struct vexfs_entry *entry);
int vexfs_entry_check(struct inode *inode, u32 id, const struct vexfs_entry *entry);
int vexfs_entry_read(struct vexfs_reader *reader, u32 id, struct vexfs_entry *entry);
u32 vexfs_components_checksum(struct inode *inode, u32 id, const __le16 *components);
int vexfs_components_read(struct vexfs_reader *reader, u32 id, s16 *components);

/* collection.c */
int vexfs_collection_create(struct inode *inode, u32 dimension, u32 metric);
int vexfs_collection_load(struct inode *inode);
int vexfs_write_header(struct inode *inode, u32 dimension, u32 metric, u32 cells,
		       u32 centroid_checksum);

/* vectors.c */
struct vexfs_vectors *vexfs_vectors_alloc(void);
void vexfs_vectors_free(struct vexfs_vectors *vectors);
int vexfs_groups_reserve(struct vexfs_vectors *vectors, u32 ids);
void vexfs_link(struct vexfs_vectors *vectors, struct vexfs_index *index, u32 id, u32 cell);
u32 vexfs_next_in_cell(struct vexfs_vectors *vectors, u32 id);
void vexfs_set_live(struct vexfs_vectors *vectors, u32 id, u32 cell);
void vexfs_set_deleted(struct vexfs_vectors *vectors, u32 id);
bool vexfs_is_live(struct vexfs_vectors *vectors, u64 id);
u32 vexfs_next_live(struct vexfs_vectors *vectors, u32 id);

/* change.c */
int vexfs_insert(struct inode *inode, const s16 *components, u32 count, u64 *first);
int vexfs_fetch(struct inode *inode, u64 id, s16 *components);
int vexfs_delete(struct inode *inode, u64 id);

/* distance.c */
u32 vexfs_norm(u32 metric, const s16 *components, u32 dimension);
u64 vexfs_distance(u32 metric, const struct vexfs_point *a, const struct vexfs_point *b,
		   u32 dimension);

/* nearest.c */
struct vexfs_nearest {			/* the nearest of those that were added, at most @limit */
	struct vexfs_result *results;
	u32 limit;
	u32 found;
};

void vexfs_nearest_add(struct vexfs_nearest *nearest, u64 id, u64 distance);
void vexfs_nearest_sort(struct vexfs_nearest *nearest);

/* search.c */
int vexfs_search(struct inode *inode, struct vexfs_ffi_search *search);

/* index.c */
struct vexfs_index *vexfs_index_alloc(u32 cells, u32 dimension);
void vexfs_index_free(struct vexfs_index *index);
struct vexfs_index *vexfs_index_load(struct vexfs_reader *reader,
				     const struct vexfs_vectors *vectors, u32 cells,
				     u32 checksum);
u64 vexfs_index_distance(const struct vexfs_vectors *vectors, const struct vexfs_index *index,
			 u32 cell, const struct vexfs_point *point);
u32 vexfs_index_cell(const struct vexfs_vectors *vectors, const struct vexfs_index *index,
		     const struct vexfs_point *point);
int vexfs_index_make(struct file *file, u32 cells, u32 iterations, u64 seed);

/* kmeans.c */
int vexfs_kmeans(struct inode *inode, struct vexfs_index *index, u32 iterations, u64 seed,
		 u16 *cell_of);

#endif /* VEXFS_COLLECTION_H */
