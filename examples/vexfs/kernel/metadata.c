// SPDX-License-Identifier: GPL-2.0
/*
 * vexfs: blocks with a header.
 *
 * Bitmaps, directories and blocks of pointers say what they are, whose they
 * are and what they should add up to.  A block is verified once, when it comes
 * from the disk; from then on memory is trusted.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include "vexfs.h"

/* Set on a buffer whose content has been verified since it was read. */
enum {
	BH_VexfsVerified = BH_PrivateStart,
};

BUFFER_FNS(VexfsVerified, vexfs_verified)

/*
 * Everything with a checksum has it as its second word, which counts as zero.
 * The file system's UUID and the place (a block's or an inode's number) are
 * part of the sum, so that a stray or an old copy does not pass.
 */
u32 vexfs_checksum(const u8 *uuid, u64 number, const void *data, size_t size)
{
	const size_t after = 2 * sizeof(__le32);
	__le64 place = cpu_to_le64(number);
	__le32 zero = 0;
	u32 crc;

	crc = vexfs_crc32c(~0, uuid, 16);
	crc = vexfs_crc32c(crc, &place, sizeof(place));
	crc = vexfs_crc32c(crc, data, sizeof(__le32));
	crc = vexfs_crc32c(crc, &zero, sizeof(zero));
	crc = vexfs_crc32c(crc, data + after, size - after);
	return ~crc;
}

/* Of data that hold no checksum themselves. */
u32 vexfs_data_checksum(const u8 *uuid, u64 number, const void *data, size_t size)
{
	__le64 place = cpu_to_le64(number);
	u32 crc;

	crc = vexfs_crc32c(~0, uuid, 16);
	crc = vexfs_crc32c(crc, &place, sizeof(place));
	return ~vexfs_crc32c(crc, data, size);
}

static u32 vexfs_block_checksum(struct super_block *sb, struct buffer_head *bh)
{
	return vexfs_checksum(VEXFS_SB(sb)->uuid, bh->b_blocknr, bh->b_data, VEXFS_BLOCK_SIZE);
}

static const char *vexfs_block_fault(struct super_block *sb, struct buffer_head *bh, u32 magic)
{
	struct vexfs_block_header *header = (void *)bh->b_data;

	if (le32_to_cpu(header->magic) != magic)
		return "wrong magic";
	if (le32_to_cpu(header->checksum) != vexfs_block_checksum(sb, bh))
		return "wrong checksum";
	if (header->reserved)
		return "reserved field in use";
	if (magic == VEXFS_DIRECTORY_MAGIC && !vexfs_dir_block_valid(sb, bh))
		return "malformed directory";
	if (magic == VEXFS_POINTERS_MAGIC && !vexfs_pointers_valid(sb, bh))
		return "pointer out of range";
	return NULL;
}

/* Returns the verified block, or -EIO, -EUCLEAN. */
struct buffer_head *vexfs_read_block(struct super_block *sb, u64 block, u32 magic, u32 owner)
{
	struct vexfs_block_header *header;
	struct buffer_head *bh;
	const char *fault = NULL;

	bh = sb_bread(sb, block);
	if (!bh)
		return ERR_PTR(-EIO);

	if (!buffer_vexfs_verified(bh)) {
		/* Without the lock, a change in progress looks like damage. */
		lock_buffer(bh);
		if (!buffer_vexfs_verified(bh))
			fault = vexfs_block_fault(sb, bh, magic);
		if (!fault)
			set_buffer_vexfs_verified(bh);
		unlock_buffer(bh);
	}

	/* A block may have been verified as something else. */
	header = (void *)bh->b_data;
	if (!fault && le32_to_cpu(header->magic) != magic)
		fault = "wrong magic";
	if (!fault && le32_to_cpu(header->owner) != owner)
		fault = "wrong owner";
	if (fault) {
		vexfs_damaged(sb, "block %llu of inode %u: %s", block, owner, fault);
		brelse(bh);
		return ERR_PTR(-EUCLEAN);
	}
	return bh;
}

/* Returns @block with a header and a payload of zeros, not yet dirty, or -ENOMEM. */
struct buffer_head *vexfs_new_block(struct super_block *sb, u64 block, u32 magic, u32 owner)
{
	struct vexfs_block_header *header;
	struct buffer_head *bh;

	bh = sb_getblk(sb, block);
	if (!bh)
		return ERR_PTR(-ENOMEM);

	lock_buffer(bh);
	header = memset(bh->b_data, 0, VEXFS_BLOCK_SIZE);
	header->magic = cpu_to_le32(magic);
	header->owner = cpu_to_le32(owner);
	set_buffer_uptodate(bh);
	set_buffer_vexfs_verified(bh);
	unlock_buffer(bh);
	return bh;
}

/*
 * Between begin and end the block may be changed: it is locked, because it
 * must not be written to the disk with half of a change or an old checksum.
 */
void vexfs_change_begin(struct buffer_head *bh)
{
	lock_buffer(bh);
}

/* The block goes to the disk with the next commit, or in time. */
void vexfs_change_end(struct super_block *sb, struct buffer_head *bh)
{
	struct vexfs_block_header *header = (void *)bh->b_data;

	header->checksum = cpu_to_le32(vexfs_block_checksum(sb, bh));
	/* A failed write clears the flag, but memory has the newer content. */
	set_buffer_uptodate(bh);
	unlock_buffer(bh);
	mark_buffer_dirty(bh);
}
