// SPDX-License-Identifier: GPL-2.0
/*
 * vexfs: what is on the disk, and when.
 *
 * There is no journal.  A power cut leaves any mixture of older and newer
 * blocks, and docs/consistency.md says why "vexctl check --repair" can make a
 * file system of it again in which all is there that was synchronised:
 *
 * - Every change of an inode, a directory or pointers is made in the buffers
 *   of the device at once.  So a commit has to write these, and nothing else.
 * - What a pointer or a name stands for is on the disk before it.
 * - What was given back is not taken again before a commit: until then some
 *   older block on the disk may still point to it.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include "vexfs.h"

/*
 * Makes all changes of metadata that have been made so far durable, and with
 * that what was given back before free.
 */
int vexfs_commit(struct super_block *sb)
{
	struct vexfs_sb *vsb = VEXFS_SB(sb);
	int error;

	mutex_lock(&vsb->commit_lock);
	down_write(&vsb->giving);
	vexfs_bitmap_commit_begin(&vsb->inodes);
	vexfs_bitmap_commit_begin(&vsb->blocks);
	up_write(&vsb->giving);

	error = sync_blockdev(sb->s_bdev);
	if (!error)
		error = vexfs_flush(sb);

	vexfs_bitmap_commit_end(&vsb->inodes, !error);
	vexfs_bitmap_commit_end(&vsb->blocks, !error);
	mutex_unlock(&vsb->commit_lock);
	if (error)
		vexfs_damaged(sb, "metadata can't be written, error %d", error);
	return error;
}

/* For files and directories; the names on the way to them become durable too. */
int vexfs_fsync(struct file *file, loff_t start, loff_t end, int datasync)
{
	int error = file_write_and_wait_range(file, start, end);

	return error ?: vexfs_commit(file_inode(file)->i_sb);
}

int vexfs_sync_fs(struct super_block *sb, int wait)
{
	return wait ? vexfs_commit(sb) : 0;
}

/*
 * Puts a changed block on the disk, past its cache: something is about to point
 * to it.  Writeback may have been faster, but it has not flushed the cache.
 */
int vexfs_write_through(struct super_block *sb, struct buffer_head *bh)
{
	return sync_dirty_buffer(bh) ?: vexfs_flush(sb);
}
