// SPDX-License-Identifier: GPL-2.0
/*
 * vexfs: collections for other modules, and for ioctl.c.
 *
 * Here the file and the numbers of a request are checked, and the lock is
 * taken; what does the work trusts both.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/export.h>
#include <linux/mount.h>

#include "collection.h"

/* Whether @file is a regular file of ours that is open for this. */
static int vexfs_ffi_check(struct file *file, fmode_t mode)
{
	if (file->f_op != &vexfs_file_operations)
		return -ENOTTY;
	return (file->f_mode & mode) == mode ? 0 : -EBADF;
}

/* Locks the loaded collection for reading, until vexfs_ffi_end_read(). */
static int vexfs_ffi_begin_read(struct file *file)
{
	struct vexfs_inode *vi = VEXFS_I(file_inode(file));
	int error;

	error = down_read_killable(&vi->collection_lock);
	if (error || vi->vectors)
		return error;
	up_read(&vi->collection_lock);

	error = down_write_killable(&vi->collection_lock);
	if (error)
		return error;
	error = vexfs_collection_load(&vi->vfs_inode);
	if (error)
		up_write(&vi->collection_lock);
	else
		downgrade_write(&vi->collection_lock);
	return error;
}

static void vexfs_ffi_end_read(struct file *file)
{
	up_read(&VEXFS_I(file_inode(file))->collection_lock);
}

/* Locks a file that may be no collection yet, until vexfs_ffi_end_write(). */
static int vexfs_ffi_begin_create(struct file *file)
{
	struct vexfs_inode *vi = VEXFS_I(file_inode(file));
	int error;

	error = mnt_want_write_file(file);
	if (error)
		return error;
	error = down_write_killable(&vi->collection_lock);
	if (error)
		mnt_drop_write_file(file);
	return error;
}

static void vexfs_ffi_end_write(struct file *file)
{
	up_write(&VEXFS_I(file_inode(file))->collection_lock);
	mnt_drop_write_file(file);
}

/* Locks the loaded collection for writing, until vexfs_ffi_end_write(). */
static int vexfs_ffi_begin_write(struct file *file)
{
	int error = vexfs_ffi_begin_create(file);

	if (error)
		return error;
	error = vexfs_collection_load(file_inode(file));
	if (error)
		vexfs_ffi_end_write(file);
	return error;
}

static const struct vexfs_vectors *vexfs_ffi_vectors(struct file *file)
{
	return VEXFS_I(file_inode(file))->vectors;
}

int vexfs_ffi_create(struct file *file, u32 dimension, u32 metric)
{
	int error;

	error = vexfs_ffi_check(file, FMODE_WRITE);
	if (error)
		return error;
	if (!dimension || dimension > VEXFS_MAX_DIMENSION ||
	    (metric != VEXFS_METRIC_L2 && metric != VEXFS_METRIC_COSINE))
		return -EINVAL;
	error = vexfs_ffi_begin_create(file);
	if (error)
		return error;
	error = vexfs_collection_create(file_inode(file), dimension, metric);
	vexfs_ffi_end_write(file);
	return error;
}
EXPORT_SYMBOL_GPL(vexfs_ffi_create);

int vexfs_ffi_info(struct file *file, struct vexfs_ffi_info *info)
{
	const struct vexfs_vectors *vectors;
	int error;

	error = vexfs_ffi_check(file, 0);
	if (error)
		return error;
	error = vexfs_ffi_begin_read(file);
	if (error)
		return error;
	vectors = vexfs_ffi_vectors(file);
	*info = (struct vexfs_ffi_info){
		.dimension = vectors->dimension,
		.metric = vectors->metric,
		.cells = vectors->index ? vectors->index->cells : 0,
		.ids = vectors->ids,
		.vectors = vectors->live,
	};
	vexfs_ffi_end_read(file);
	return 0;
}
EXPORT_SYMBOL_GPL(vexfs_ffi_info);

int vexfs_ffi_insert(struct file *file, const s16 *components, u32 dimension, u32 count,
		     u64 *first)
{
	int error;

	error = vexfs_ffi_check(file, FMODE_WRITE);
	if (error)
		return error;
	if (!count || count > VEXFS_MAX_INSERT)
		return -EINVAL;
	error = vexfs_ffi_begin_write(file);
	if (error)
		return error;
	if (dimension == vexfs_ffi_vectors(file)->dimension)
		error = vexfs_insert(file_inode(file), components, count, first);
	else
		error = -EINVAL;
	vexfs_ffi_end_write(file);
	return error;
}
EXPORT_SYMBOL_GPL(vexfs_ffi_insert);

int vexfs_ffi_fetch(struct file *file, u64 id, s16 *components, u32 dimension)
{
	int error;

	error = vexfs_ffi_check(file, FMODE_READ);
	if (error)
		return error;
	error = vexfs_ffi_begin_read(file);
	if (error)
		return error;
	if (dimension == vexfs_ffi_vectors(file)->dimension)
		error = vexfs_fetch(file_inode(file), id, components);
	else
		error = -EINVAL;
	vexfs_ffi_end_read(file);
	return error;
}
EXPORT_SYMBOL_GPL(vexfs_ffi_fetch);

int vexfs_ffi_delete(struct file *file, u64 id)
{
	int error;

	error = vexfs_ffi_check(file, FMODE_WRITE);
	if (error)
		return error;
	error = vexfs_ffi_begin_write(file);
	if (error)
		return error;
	error = vexfs_delete(file_inode(file), id);
	vexfs_ffi_end_write(file);
	return error;
}
EXPORT_SYMBOL_GPL(vexfs_ffi_delete);

/* Whether the numbers are in the ranges that are the same for all collections. */
static bool vexfs_search_is_valid(const struct vexfs_ffi_search *search)
{
	if (!search->k || search->k > VEXFS_MAX_RESULTS)
		return false;
	if (search->method == VEXFS_SEARCH_EXACT)
		return !search->probes;
	return search->method == VEXFS_SEARCH_INDEX &&
	       search->probes && search->probes <= VEXFS_MAX_CELLS;
}

int vexfs_ffi_search(struct file *file, struct vexfs_ffi_search *search)
{
	int error;

	error = vexfs_ffi_check(file, FMODE_READ);
	if (error)
		return error;
	if (!vexfs_search_is_valid(search))
		return -EINVAL;
	error = vexfs_ffi_begin_read(file);
	if (error)
		return error;
	if (search->dimension == vexfs_ffi_vectors(file)->dimension)
		error = vexfs_search(file_inode(file), search);
	else
		error = -EINVAL;
	vexfs_ffi_end_read(file);
	return error;
}
EXPORT_SYMBOL_GPL(vexfs_ffi_search);

int vexfs_ffi_index(struct file *file, u32 cells, u32 iterations, u64 seed)
{
	int error;

	error = vexfs_ffi_check(file, FMODE_WRITE);
	if (error)
		return error;
	if (cells > VEXFS_MAX_CELLS || iterations > VEXFS_MAX_ITERATIONS || !cells != !iterations)
		return -EINVAL;
	error = vexfs_ffi_begin_write(file);
	if (error)
		return error;
	error = vexfs_index_make(file, cells, iterations, seed);
	vexfs_ffi_end_write(file);
	return error;
}
EXPORT_SYMBOL_GPL(vexfs_ffi_index);
