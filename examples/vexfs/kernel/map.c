// SPDX-License-Identifier: GPL-2.0
/*
 * vexfs: where a file's blocks are.
 *
 * An inode points to its first blocks, to a block of pointers and to a block
 * of pointers to blocks of pointers.  A pointer of zero is a hole.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include "vexfs.h"

/* The place of one pointer: in a block of pointers, or in the inode. */
struct vexfs_place {
	struct buffer_head *bh;		/* NULL: in the inode */
	unsigned int slot;
};

/* Which slot to follow at each level; returns the number of levels. */
static int vexfs_levels(u64 index, unsigned int slots[3])
{
	if (index < VEXFS_DIRECT) {
		slots[0] = index;
		return 1;
	}
	index -= VEXFS_DIRECT;
	if (index < VEXFS_POINTERS_PER_BLOCK) {
		slots[0] = VEXFS_INDIRECT;
		slots[1] = index;
		return 2;
	}
	index -= VEXFS_POINTERS_PER_BLOCK;
	if (index < VEXFS_POINTERS_PER_BLOCK * VEXFS_POINTERS_PER_BLOCK) {
		slots[0] = VEXFS_DOUBLE_INDIRECT;
		slots[1] = (u32)index / VEXFS_POINTERS_PER_BLOCK;
		slots[2] = (u32)index % VEXFS_POINTERS_PER_BLOCK;
		return 3;
	}
	return -EFBIG;
}

bool vexfs_pointers_valid(struct super_block *sb, struct buffer_head *bh)
{
	__le32 *pointers = vexfs_payload(bh);
	unsigned int slot;

	for (slot = 0; slot < VEXFS_POINTERS_PER_BLOCK; slot++)
		if (pointers[slot] && !vexfs_is_data_block(sb, le32_to_cpu(pointers[slot])))
			return false;
	return true;
}

static u32 vexfs_pointer(struct inode *inode, const struct vexfs_place *place)
{
	__le32 *pointers;

	if (!place->bh)
		return VEXFS_I(inode)->pointers[place->slot];
	pointers = vexfs_payload(place->bh);
	return le32_to_cpu(pointers[place->slot]);
}

static void vexfs_set_pointer(struct inode *inode, const struct vexfs_place *place, u32 block)
{
	__le32 *pointers;

	if (place->bh) {
		pointers = vexfs_payload(place->bh);
		vexfs_change_begin(place->bh);
		pointers[place->slot] = cpu_to_le32(block);
		vexfs_change_end(inode->i_sb, place->bh);
	} else {
		VEXFS_I(inode)->pointers[place->slot] = block;
	}
	inode_add_bytes(inode, VEXFS_BLOCK_SIZE);
}

/* Gives the empty @place a new block of pointers. */
static struct buffer_head *vexfs_add_pointers(struct inode *inode, const struct vexfs_place *place)
{
	struct vexfs_sb *vsb = VEXFS_SB(inode->i_sb);
	struct buffer_head *bh;
	u64 block;
	int error;

	error = vexfs_bitmap_take(&vsb->blocks, &block);
	if (error)
		return ERR_PTR(error);
	bh = vexfs_new_block(inode->i_sb, block, VEXFS_POINTERS_MAGIC, inode->i_ino);
	if (IS_ERR(bh)) {
		vexfs_bitmap_give(&vsb->blocks, block);
		return bh;
	}
	vexfs_change_begin(bh);
	vexfs_change_end(inode->i_sb, bh);
	error = vexfs_write_through(inode->i_sb, bh);
	if (error) {
		bforget(bh);
		vexfs_bitmap_give(&vsb->blocks, block);
		return ERR_PTR(error);
	}
	vexfs_set_pointer(inode, place, block);
	return bh;
}

/*
 * Finds the place of the pointer to block @index of the file.  Returns 1 when
 * found, 0 when a level above it is a hole and @create is false.
 */
static int vexfs_find_place(struct inode *inode, u64 index, bool create, struct vexfs_place *place)
{
	unsigned int slots[3];
	int level, levels;

	levels = vexfs_levels(index, slots);
	if (levels < 0)
		return levels;

	place->bh = NULL;
	place->slot = slots[0];
	for (level = 1; level < levels; level++) {
		u32 block = vexfs_pointer(inode, place);
		struct buffer_head *bh;

		if (block)
			bh = vexfs_read_block(inode->i_sb, block, VEXFS_POINTERS_MAGIC,
					      inode->i_ino);
		else if (create)
			bh = vexfs_add_pointers(inode, place);
		else
			bh = NULL;
		brelse(place->bh);
		if (IS_ERR_OR_NULL(bh))
			return PTR_ERR_OR_ZERO(bh);
		place->bh = bh;
		place->slot = slots[level];
	}
	return 1;
}

/* Number of blocks from @place on that follow each other on the disk. */
static u32 vexfs_run(struct inode *inode, struct vexfs_place place, u32 wanted)
{
	unsigned int end = place.bh ? VEXFS_POINTERS_PER_BLOCK : VEXFS_DIRECT;
	u32 first = vexfs_pointer(inode, &place);
	u32 count = 1;

	while (count < wanted && ++place.slot < end &&
	       vexfs_pointer(inode, &place) == first + count)
		count++;
	return count;
}

static int vexfs_map_locked(struct inode *inode, u64 index, u32 wanted, bool create,
			    u64 *block, u32 *count, bool *created)
{
	struct vexfs_place place;
	int found;

	*block = 0;
	*count = 1;
	*created = false;
	found = vexfs_find_place(inode, index, create, &place);
	if (found <= 0)
		return found;

	found = 0;
	*block = vexfs_pointer(inode, &place);
	if (*block) {
		*count = vexfs_run(inode, place, wanted);
	} else if (create) {
		found = vexfs_bitmap_take(&VEXFS_SB(inode->i_sb)->blocks, block);
		if (!found) {
			vexfs_set_pointer(inode, &place, *block);
			*created = true;
		}
	}
	brelse(place.bh);
	return found;
}

/*
 * Tells where block @index of a file is, and how many of the @wanted blocks
 * from there on are contiguous.  A hole is @block 0, or filled when @create.
 */
int vexfs_map(struct inode *inode, u64 index, u32 wanted, bool create,
	      u64 *block, u32 *count, bool *created)
{
	struct vexfs_inode *vi = VEXFS_I(inode);
	int error;

	down_read(&vi->map_lock);
	error = vexfs_map_locked(inode, index, wanted, false, block, count, created);
	up_read(&vi->map_lock);
	if (error || *block || !create)
		return error;

	down_write(&vi->map_lock);
	error = vexfs_map_locked(inode, index, wanted, true, block, count, created);
	up_write(&vi->map_lock);
	mark_inode_dirty(inode);	/* also after an error: a block of pointers may be new */
	return error;
}

/* For the page cache. */
int vexfs_get_block(struct inode *inode, sector_t index, struct buffer_head *bh, int create)
{
	u32 wanted = bh->b_size >> VEXFS_BLOCK_BITS;
	u64 block;
	u32 count;
	bool created;
	int error;

	error = vexfs_map(inode, index, wanted, create, &block, &count, &created);
	if (error || !block)
		return error;
	map_bh(bh, inode->i_sb, block);
	bh->b_size = (size_t)count << VEXFS_BLOCK_BITS;
	if (created)
		set_buffer_new(bh);
	return 0;
}

static int vexfs_give_block(struct inode *inode, u64 block)
{
	int error = vexfs_bitmap_give(&VEXFS_SB(inode->i_sb)->blocks, block);

	if (!error)
		inode_sub_bytes(inode, VEXFS_BLOCK_SIZE);
	return error;
}

/* Number of the file's blocks below a pointer, by the levels of pointers under it. */
static u64 vexfs_span(int height)
{
	u64 span = 1;

	while (height-- > 0)
		span *= VEXFS_POINTERS_PER_BLOCK;
	return span;
}

/*
 * Frees, in the tree below @block, the file's blocks from @first on; the
 * tree's own first block of the file is @base.  Returns 1 when all of it is
 * gone including @block, 0 when some of it is left, or an error.
 */
static int vexfs_prune(struct inode *inode, u32 block, int height, u64 base, u64 first)
{
	u64 span = vexfs_span(height - 1);
	unsigned int slot, from, to;
	struct buffer_head *bh;
	__le32 *pointers;
	int error = 0;

	if (height == 0) {
		if (S_ISDIR(inode->i_mode))
			bforget(sb_find_get_block(inode->i_sb, block));
		return vexfs_give_block(inode, block) ?: 1;
	}

	bh = vexfs_read_block(inode->i_sb, block, VEXFS_POINTERS_MAGIC, inode->i_ino);
	if (IS_ERR(bh))
		return PTR_ERR(bh);

	pointers = vexfs_payload(bh);
	from = VEXFS_POINTERS_PER_BLOCK;
	to = 0;
	for (slot = 0; slot < VEXFS_POINTERS_PER_BLOCK; slot++) {
		u64 start = base + slot * span;

		if (!pointers[slot] || start + span <= first)
			continue;
		error = vexfs_prune(inode, le32_to_cpu(pointers[slot]), height - 1, start, first);
		if (error < 0)
			break;
		if (error == 1) {
			from = min(from, slot);
			to = slot + 1;
		}
		error = 0;
	}

	if (!error && base >= first) {
		/* Whatever the block holds must not reach the disk later on. */
		bforget(bh);
		return vexfs_give_block(inode, block) ?: 1;
	}
	if (from < to) {
		vexfs_change_begin(bh);
		memset(pointers + from, 0, (to - from) * sizeof(*pointers));
		vexfs_change_end(inode->i_sb, bh);
	}
	brelse(bh);
	return error;
}

/* Frees the blocks of a file from block @first on. */
int vexfs_free_blocks(struct inode *inode, u64 first)
{
	struct vexfs_inode *vi = VEXFS_I(inode);
	int result, error = 0;
	u64 base = 0;
	int slot;

	down_write(&vi->map_lock);
	down_read(&VEXFS_SB(inode->i_sb)->giving);
	for (slot = 0; slot < VEXFS_POINTERS; slot++) {
		int height = slot < VEXFS_DIRECT ? 0 : slot - VEXFS_DIRECT + 1;
		u64 span = vexfs_span(height);

		if (vi->pointers[slot] && base + span > first) {
			result = vexfs_prune(inode, vi->pointers[slot], height, base, first);
			if (result == 1)
				vi->pointers[slot] = 0;
			else if (result < 0 && !error)
				error = result;
		}
		base += span;
	}
	vexfs_store_inode(inode);
	up_read(&VEXFS_SB(inode->i_sb)->giving);
	up_write(&vi->map_lock);
	mark_inode_dirty(inode);
	return error;
}
