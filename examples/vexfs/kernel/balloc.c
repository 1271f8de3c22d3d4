// SPDX-License-Identifier: GPL-2.0
/*
 * vexfs: which inodes and blocks are taken.
 *
 * Both bitmaps have the same form, so there is one set of functions.  The
 * number of clear bits is not on the disk: it is counted when mounting.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/bitops.h>
#include <linux/slab.h>

#include "vexfs.h"

static struct buffer_head *vexfs_bitmap_block(struct vexfs_bitmap *bitmap, u64 bit)
{
	return bitmap->blocks[div_u64(bit, VEXFS_BITS_PER_BLOCK)];
}

static unsigned int vexfs_bit_in_block(u64 bit)
{
	u32 rest;

	div_u64_rem(bit, VEXFS_BITS_PER_BLOCK, &rest);
	return rest;
}

/* Number of valid bits in the block with this index; the others are set. */
static unsigned int vexfs_bits_in_block(struct vexfs_bitmap *bitmap, u32 index)
{
	u64 before = (u64)index * VEXFS_BITS_PER_BLOCK;

	return min_t(u64, bitmap->bits - before, VEXFS_BITS_PER_BLOCK);
}

/* Whether a bit that is set may be taken after the next commit. */
static bool vexfs_bitmap_is_given(struct vexfs_bitmap *bitmap, u64 bit)
{
	return test_bit(bit, bitmap->given) || test_bit(bit, bitmap->leaving);
}

static int vexfs_bitmap_count(struct vexfs_bitmap *bitmap, u32 index)
{
	void *bits = vexfs_payload(bitmap->blocks[index]);
	unsigned int valid = vexfs_bits_in_block(bitmap, index);
	size_t set = memweight(bits, VEXFS_PAYLOAD_SIZE);
	unsigned int unused = VEXFS_BITS_PER_BLOCK - valid;

	if (unused &&
	    find_next_zero_bit_le(bits, VEXFS_BITS_PER_BLOCK, valid) < VEXFS_BITS_PER_BLOCK) {
		vexfs_damaged(bitmap->sb, "bitmap block %llu: bits beyond the end are clear",
			      (u64)bitmap->blocks[index]->b_blocknr);
		return -EUCLEAN;
	}
	bitmap->free += valid - (set - unused);
	return 0;
}

/* Reads the bitmap of @bits bits that starts at block @first. */
int vexfs_bitmap_load(struct super_block *sb, struct vexfs_bitmap *bitmap, u32 first, u64 bits)
{
	u32 index;

	mutex_init(&bitmap->lock);
	bitmap->sb = sb;
	bitmap->bits = bits;
	bitmap->block_count = div_u64(bits + VEXFS_BITS_PER_BLOCK - 1, VEXFS_BITS_PER_BLOCK);
	bitmap->blocks = kvcalloc(bitmap->block_count, sizeof(*bitmap->blocks), GFP_KERNEL);
	bitmap->given = kvcalloc(BITS_TO_LONGS(bits), sizeof(long), GFP_KERNEL);
	bitmap->leaving = kvcalloc(BITS_TO_LONGS(bits), sizeof(long), GFP_KERNEL);
	if (!bitmap->blocks || !bitmap->given || !bitmap->leaving)
		return -ENOMEM;

	for (index = 0; index < bitmap->block_count; index++) {
		struct buffer_head *bh;
		int error;

		bh = vexfs_read_block(sb, first + index, VEXFS_BITMAP_MAGIC, 0);
		if (IS_ERR(bh))
			return PTR_ERR(bh);
		bitmap->blocks[index] = bh;
		error = vexfs_bitmap_count(bitmap, index);
		if (error)
			return error;
	}
	return 0;
}

/* Also after a load that failed or never began. */
void vexfs_bitmap_release(struct vexfs_bitmap *bitmap)
{
	u32 index;

	for (index = 0; bitmap->blocks && index < bitmap->block_count; index++)
		brelse(bitmap->blocks[index]);
	kvfree(bitmap->blocks);
	kvfree(bitmap->given);
	kvfree(bitmap->leaving);
}

static bool vexfs_bitmap_search(struct vexfs_bitmap *bitmap, u64 from, u64 to, u64 *bit)
{
	while (from < to) {
		u32 index = div_u64(from, VEXFS_BITS_PER_BLOCK);
		unsigned int valid = vexfs_bits_in_block(bitmap, index);
		unsigned int found;

		found = find_next_zero_bit_le(vexfs_payload(bitmap->blocks[index]), valid,
					      vexfs_bit_in_block(from));
		if (found < valid) {
			*bit = (u64)index * VEXFS_BITS_PER_BLOCK + found;
			return true;
		}
		from = (u64)(index + 1) * VEXFS_BITS_PER_BLOCK;
	}
	return false;
}

static int vexfs_bitmap_try_take(struct vexfs_bitmap *bitmap, u64 *bit)
{
	struct buffer_head *bh;
	int error = 0;

	mutex_lock(&bitmap->lock);
	if (!bitmap->free) {
		error = -ENOSPC;
	} else if (!vexfs_bitmap_search(bitmap, bitmap->next, bitmap->bits, bit) &&
		   !vexfs_bitmap_search(bitmap, 0, bitmap->next, bit)) {
		error = -EAGAIN;
	} else {
		bh = vexfs_bitmap_block(bitmap, *bit);
		vexfs_change_begin(bh);
		__set_bit_le(vexfs_bit_in_block(*bit), vexfs_payload(bh));
		vexfs_change_end(bitmap->sb, bh);
		bitmap->free--;
		bitmap->next = *bit + 1;
	}
	mutex_unlock(&bitmap->lock);
	return error;
}

/* Sets a clear bit and tells which; -ENOSPC when there is none, even after a commit. */
int vexfs_bitmap_take(struct vexfs_bitmap *bitmap, u64 *bit)
{
	int error;

	while ((error = vexfs_bitmap_try_take(bitmap, bit)) == -EAGAIN) {
		error = vexfs_commit(bitmap->sb);
		if (error)
			break;
	}
	return error;
}

/*
 * Gives a set bit back: it may be taken again after the next commit.  By then
 * nothing on the disk may hold it any more, so nothing in the buffers of the
 * device does when the lock vexfs_sb.giving is free.  -EUCLEAN when it was
 * clear already.
 */
int vexfs_bitmap_give(struct vexfs_bitmap *bitmap, u64 bit)
{
	struct buffer_head *bh;
	int error = 0;

	mutex_lock(&bitmap->lock);
	bh = vexfs_bitmap_block(bitmap, bit);
	if (!test_bit_le(vexfs_bit_in_block(bit), vexfs_payload(bh)) ||
	    vexfs_bitmap_is_given(bitmap, bit)) {
		vexfs_damaged(bitmap->sb, "bitmap block %llu: bit %llu is free already",
			      (u64)bh->b_blocknr, bit);
		error = -EUCLEAN;
	} else {
		__set_bit(bit, bitmap->given);
		bitmap->any_given = true;
		bitmap->free++;
	}
	mutex_unlock(&bitmap->lock);
	return error;
}

/* What was given back until now leaves with this commit, together with what an earlier one kept. */
void vexfs_bitmap_commit_begin(struct vexfs_bitmap *bitmap)
{
	mutex_lock(&bitmap->lock);
	if (bitmap->any_given) {
		bitmap_or(bitmap->leaving, bitmap->leaving, bitmap->given, bitmap->bits);
		bitmap_zero(bitmap->given, bitmap->bits);
	}
	mutex_unlock(&bitmap->lock);
}

/* Clears the bits of one block that leave. */
static void vexfs_bitmap_let_leave(struct vexfs_bitmap *bitmap, u32 index)
{
	unsigned long before = (unsigned long)index * VEXFS_BITS_PER_BLOCK;
	unsigned long end = before + vexfs_bits_in_block(bitmap, index);
	unsigned long bit = find_next_bit(bitmap->leaving, end, before);
	struct buffer_head *bh = bitmap->blocks[index];

	if (bit == end)
		return;
	vexfs_change_begin(bh);
	for (; bit < end; bit = find_next_bit(bitmap->leaving, end, bit + 1))
		__clear_bit_le(bit - before, vexfs_payload(bh));
	vexfs_change_end(bitmap->sb, bh);
}

/* What leaves with this commit may be taken again, when the commit was @done. */
void vexfs_bitmap_commit_end(struct vexfs_bitmap *bitmap, bool done)
{
	u32 index;

	mutex_lock(&bitmap->lock);
	if (done && bitmap->any_given) {
		for (index = 0; index < bitmap->block_count; index++)
			vexfs_bitmap_let_leave(bitmap, index);
		bitmap_zero(bitmap->leaving, bitmap->bits);
		bitmap->any_given = !bitmap_empty(bitmap->given, bitmap->bits);
	}
	mutex_unlock(&bitmap->lock);
}

bool vexfs_bitmap_test(struct vexfs_bitmap *bitmap, u64 bit)
{
	bool set;

	mutex_lock(&bitmap->lock);
	set = test_bit_le(vexfs_bit_in_block(bit), vexfs_payload(vexfs_bitmap_block(bitmap, bit)));
	mutex_unlock(&bitmap->lock);
	return set;
}

/* Number of bits that are clear, or will be after a commit. */
u64 vexfs_bitmap_free(struct vexfs_bitmap *bitmap)
{
	u64 free;

	mutex_lock(&bitmap->lock);
	free = bitmap->free;
	mutex_unlock(&bitmap->lock);
	return free;
}
