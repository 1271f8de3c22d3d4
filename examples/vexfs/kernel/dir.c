// SPDX-License-Identifier: GPL-2.0
/*
 * vexfs: directories, as blocks of records.
 *
 * Each block is verified when it is read, so the functions here may follow the
 * lengths of its records.  Changes happen under the directory's i_rwsem.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include "vexfs.h"

static struct vexfs_dirent *vexfs_dirent(struct buffer_head *bh, unsigned int offset)
{
	return (struct vexfs_dirent *)(bh->b_data + offset);
}

/* Bytes that a record needs for a name. */
static unsigned int vexfs_dirent_need(unsigned int name_length)
{
	return ALIGN(VEXFS_DIRENT_SIZE + name_length, VEXFS_DIRENT_ALIGN);
}

static unsigned int vexfs_dirent_used(const struct vexfs_dirent *dirent)
{
	return dirent->inode ? vexfs_dirent_need(dirent->name_length) : 0;
}

static bool vexfs_dirent_valid(struct super_block *sb, const struct vexfs_dirent *dirent,
			       unsigned int room)
{
	unsigned int length = le16_to_cpu(dirent->length);
	u32 number = le32_to_cpu(dirent->inode);

	if (length < VEXFS_DIRENT_SIZE || length % VEXFS_DIRENT_ALIGN || length > room)
		return false;
	if (!number)
		return true;
	if (number == VEXFS_ROOT_INODE || number > VEXFS_SB(sb)->inode_count)
		return false;
	if (!dirent->name_length || vexfs_dirent_need(dirent->name_length) > length)
		return false;
	return !memchr(dirent->name, 0, dirent->name_length) &&
	       !memchr(dirent->name, '/', dirent->name_length);
}

bool vexfs_dir_block_valid(struct super_block *sb, struct buffer_head *bh)
{
	unsigned int offset = VEXFS_HEADER_SIZE;

	while (offset < VEXFS_BLOCK_SIZE) {
		struct vexfs_dirent *dirent = vexfs_dirent(bh, offset);

		if (!vexfs_dirent_valid(sb, dirent, VEXFS_BLOCK_SIZE - offset))
			return false;
		offset += le16_to_cpu(dirent->length);
	}
	return true;
}

static u64 vexfs_dir_blocks(struct inode *dir)
{
	return i_size_read(dir) >> VEXFS_BLOCK_BITS;
}

static struct buffer_head *vexfs_dir_block(struct inode *dir, u64 index)
{
	u64 block;
	u32 count;
	bool created;
	int error;

	error = vexfs_map(dir, index, 1, false, &block, &count, &created);
	if (error)
		return ERR_PTR(error);
	if (!block) {
		vexfs_damaged(dir->i_sb, "inode %llu: hole in a directory", (u64)dir->i_ino);
		return ERR_PTR(-EUCLEAN);
	}
	return vexfs_read_block(dir->i_sb, block, VEXFS_DIRECTORY_MAGIC, dir->i_ino);
}

/* Finds a name; -ENOENT when it is not there. */
int vexfs_dir_find(struct inode *dir, const struct qstr *name, struct vexfs_slot *slot)
{
	u64 index;

	for (index = 0; index < vexfs_dir_blocks(dir); index++) {
		unsigned int offset = VEXFS_HEADER_SIZE;
		struct buffer_head *bh = vexfs_dir_block(dir, index);

		if (IS_ERR(bh))
			return PTR_ERR(bh);
		while (offset < VEXFS_BLOCK_SIZE) {
			struct vexfs_dirent *dirent = vexfs_dirent(bh, offset);

			if (dirent->inode && dirent->name_length == name->len &&
			    !memcmp(dirent->name, name->name, name->len)) {
				slot->bh = bh;
				slot->offset = offset;
				return 0;
			}
			offset += le16_to_cpu(dirent->length);
		}
		brelse(bh);
	}
	return -ENOENT;
}

/* Adds an empty block at the end; what the new size promises is on the disk before it. */
int vexfs_dir_grow(struct inode *dir)
{
	struct super_block *sb = dir->i_sb;
	u64 index = vexfs_dir_blocks(dir);
	struct buffer_head *bh;
	u64 block;
	u32 count;
	bool created;
	int error;

	error = vexfs_map(dir, index, 1, true, &block, &count, &created);
	if (error)
		return error;
	bh = vexfs_new_block(sb, block, VEXFS_DIRECTORY_MAGIC, dir->i_ino);
	if (IS_ERR(bh))
		return PTR_ERR(bh);	/* the block waits for the next try */

	vexfs_change_begin(bh);
	vexfs_dirent(bh, VEXFS_HEADER_SIZE)->length = cpu_to_le16(VEXFS_PAYLOAD_SIZE);
	vexfs_change_end(sb, bh);
	error = vexfs_write_through(sb, bh);
	brelse(bh);
	if (!error && index >= VEXFS_DIRECT)
		error = vexfs_commit(sb);	/* the pointer is not beside the size */
	if (error)
		return error;
	i_size_write(dir, i_size_read(dir) + VEXFS_BLOCK_SIZE);
	mark_inode_dirty(dir);
	return 0;
}

static bool vexfs_find_room(struct buffer_head *bh, unsigned int need, unsigned int *where)
{
	unsigned int offset = VEXFS_HEADER_SIZE;

	while (offset < VEXFS_BLOCK_SIZE) {
		struct vexfs_dirent *dirent = vexfs_dirent(bh, offset);

		if (le16_to_cpu(dirent->length) - vexfs_dirent_used(dirent) >= need) {
			*where = offset;
			return true;
		}
		offset += le16_to_cpu(dirent->length);
	}
	return false;
}

/* Puts a name into the unused end of the record at @offset. */
static void vexfs_fill_room(struct inode *dir, struct buffer_head *bh, unsigned int offset,
			    const struct qstr *name, struct inode *inode)
{
	struct vexfs_dirent *dirent = vexfs_dirent(bh, offset);
	unsigned int used = vexfs_dirent_used(dirent);
	unsigned int length = le16_to_cpu(dirent->length);

	vexfs_change_begin(bh);
	if (used) {
		dirent->length = cpu_to_le16(used);
		dirent = vexfs_dirent(bh, offset + used);
	}
	dirent->inode = cpu_to_le32(inode->i_ino);
	dirent->length = cpu_to_le16(length - used);
	dirent->name_length = name->len;
	dirent->type = fs_umode_to_dtype(inode->i_mode);
	memcpy(dirent->name, name->name, name->len);
	vexfs_change_end(dir->i_sb, bh);
}

/* Adds a name that is not there yet. */
int vexfs_dir_add(struct inode *dir, const struct qstr *name, struct inode *inode)
{
	unsigned int need = vexfs_dirent_need(name->len);
	u64 index = 0;

	for (;;) {
		unsigned int offset;
		struct buffer_head *bh;

		if (index == vexfs_dir_blocks(dir)) {
			int error = vexfs_dir_grow(dir);

			if (error)
				return error;
		}
		bh = vexfs_dir_block(dir, index);
		if (IS_ERR(bh))
			return PTR_ERR(bh);
		if (vexfs_find_room(bh, need, &offset)) {
			vexfs_fill_room(dir, bh, offset, name, inode);
			brelse(bh);
			vexfs_touch(dir);
			return 0;
		}
		brelse(bh);
		index++;
	}
}

/* Makes an existing name stand for another inode. */
void vexfs_dir_replace(struct inode *dir, struct vexfs_slot *slot, struct inode *inode)
{
	struct vexfs_dirent *dirent = vexfs_slot_dirent(slot);

	vexfs_change_begin(slot->bh);
	dirent->inode = cpu_to_le32(inode->i_ino);
	dirent->type = fs_umode_to_dtype(inode->i_mode);
	vexfs_change_end(dir->i_sb, slot->bh);
	vexfs_touch(dir);
}

/* Removes a name: its record joins the one before it, or becomes free space. */
void vexfs_dir_remove(struct inode *dir, struct vexfs_slot *slot)
{
	struct vexfs_dirent *dirent = vexfs_slot_dirent(slot);
	unsigned int length = le16_to_cpu(dirent->length);
	struct vexfs_dirent *before = NULL;
	unsigned int offset = VEXFS_HEADER_SIZE;

	while (offset < slot->offset) {
		before = vexfs_dirent(slot->bh, offset);
		offset += le16_to_cpu(before->length);
	}

	vexfs_change_begin(slot->bh);
	if (before)
		le16_add_cpu(&before->length, length);
	memset(dirent, 0, length);
	if (!before)
		dirent->length = cpu_to_le16(length);
	vexfs_change_end(dir->i_sb, slot->bh);
	vexfs_touch(dir);
}

/* Returns 1, 0 or an error. */
int vexfs_dir_is_empty(struct inode *dir)
{
	u64 index;

	for (index = 0; index < vexfs_dir_blocks(dir); index++) {
		unsigned int offset = VEXFS_HEADER_SIZE;
		struct buffer_head *bh = vexfs_dir_block(dir, index);

		if (IS_ERR(bh))
			return PTR_ERR(bh);
		while (offset < VEXFS_BLOCK_SIZE) {
			struct vexfs_dirent *dirent = vexfs_dirent(bh, offset);

			if (dirent->inode) {
				brelse(bh);
				return 0;
			}
			offset += le16_to_cpu(dirent->length);
		}
		brelse(bh);
	}
	return 1;
}

/* Hands out one block's names from ctx->pos on; false when the caller has enough. */
static bool vexfs_emit_block(struct dir_context *ctx, struct buffer_head *bh, loff_t start)
{
	unsigned int offset = VEXFS_HEADER_SIZE;

	while (offset < VEXFS_BLOCK_SIZE) {
		struct vexfs_dirent *dirent = vexfs_dirent(bh, offset);

		/* Records come and go between two calls: the position may be inside of one. */
		if (dirent->inode && start + offset >= ctx->pos) {
			ctx->pos = start + offset;
			if (!dir_emit(ctx, dirent->name, dirent->name_length,
				      le32_to_cpu(dirent->inode), dirent->type))
				return false;
			ctx->pos++;
		}
		offset += le16_to_cpu(dirent->length);
	}
	ctx->pos = start + VEXFS_BLOCK_SIZE;
	return true;
}

/* Positions 0 and 1 are "." and "..", the others are offsets in the directory. */
static int vexfs_iterate(struct file *file, struct dir_context *ctx)
{
	struct inode *dir = file_inode(file);

	if (!dir_emit_dots(file, ctx))
		return 0;
	while (ctx->pos < i_size_read(dir)) {
		u64 index = ctx->pos >> VEXFS_BLOCK_BITS;
		struct buffer_head *bh = vexfs_dir_block(dir, index);
		bool more;

		if (IS_ERR(bh))
			return PTR_ERR(bh);
		more = vexfs_emit_block(ctx, bh, (loff_t)index << VEXFS_BLOCK_BITS);
		brelse(bh);
		if (!more)
			break;
	}
	return 0;
}

const struct file_operations vexfs_dir_operations = {
	.owner = THIS_MODULE,
	.llseek = generic_file_llseek,
	.read = generic_read_dir,
	.iterate_shared = vexfs_iterate,
	.fsync = vexfs_fsync,
	.setlease = generic_setlease,
};
