/* SPDX-License-Identifier: GPL-2.0 */
/*
 * vexfs: collections of vectors, for other modules.
 *
 * Each function takes a file that is open on a mounted vexfs, does what the
 * request of the same name in uapi/vexfs.h does, and returns 0 or one of its
 * errors.  All of them may sleep; a fatal signal ends them with -EINTR.
 */
#ifndef VEXFS_FFI_H
#define VEXFS_FFI_H

#include <linux/fs.h>
#include <linux/types.h>

#include "uapi/vexfs.h"

struct vexfs_ffi_info {
	u32 dimension;
	u32 metric;
	u32 cells;
	u64 ids;
	u64 vectors;
};

struct vexfs_ffi_search {
	const s16 *query;		/* [dimension] */
	struct vexfs_result *results;	/* [k] */
	u32 dimension;
	u32 k;
	u32 method;
	u32 probes;
	u32 found;			/* returned, as is what follows */
	u64 distances;
};

int vexfs_ffi_create(struct file *file, u32 dimension, u32 metric);
int vexfs_ffi_info(struct file *file, struct vexfs_ffi_info *info);
int vexfs_ffi_insert(struct file *file, const s16 *components, u32 dimension, u32 count,
		     u64 *first);
int vexfs_ffi_fetch(struct file *file, u64 id, s16 *components, u32 dimension);
int vexfs_ffi_delete(struct file *file, u64 id);
int vexfs_ffi_search(struct file *file, struct vexfs_ffi_search *search);
int vexfs_ffi_index(struct file *file, u32 cells, u32 iterations, u64 seed);

#endif /* VEXFS_FFI_H */
