// SPDX-License-Identifier: GPL-2.0
/* vexfs: inodes, from the disk to memory and back. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/random.h>

#include "vexfs.h"

static bool vexfs_is_inode_number(struct super_block *sb, u64 number)
{
	return number >= VEXFS_ROOT_INODE && number <= VEXFS_SB(sb)->inode_count;
}

/* Returns the block that holds an inode, and where in it; NULL: it can't be read. */
static struct buffer_head *vexfs_inode_block(struct super_block *sb, u64 number,
					     struct vexfs_disk_inode **disk)
{
	u32 index = number - VEXFS_ROOT_INODE;
	struct buffer_head *bh;

	bh = sb_bread(sb, VEXFS_SB(sb)->inode_table + index / VEXFS_INODES_PER_BLOCK);
	if (bh) {
		*disk = (struct vexfs_disk_inode *)bh->b_data;
		*disk += index % VEXFS_INODES_PER_BLOCK;
	}
	return bh;
}

static u32 vexfs_inode_checksum(struct super_block *sb, u64 number,
				const struct vexfs_disk_inode *disk)
{
	return vexfs_checksum(VEXFS_SB(sb)->uuid, number, disk, sizeof(*disk));
}

static const char *vexfs_size_fault(const struct vexfs_disk_inode *disk)
{
	u64 size = le64_to_cpu(disk->size);

	switch (le16_to_cpu(disk->mode) & S_IFMT) {
	case S_IFREG:
		if (size > (u64)VEXFS_MAX_FILE_BLOCKS << VEXFS_BLOCK_BITS)
			return "size too large";
		return NULL;
	case S_IFDIR:
		if (!size || size % VEXFS_BLOCK_SIZE ||
		    size > (u64)VEXFS_MAX_FILE_BLOCKS << VEXFS_BLOCK_BITS)
			return "wrong size of a directory";
		return NULL;
	case S_IFLNK:
		if (!size || size >= VEXFS_BLOCK_SIZE)
			return "wrong size of a symbolic link";
		return NULL;
	default:
		return "unknown type";
	}
}

/* Returns what is wrong with an inode on the disk, or NULL. */
static const char *vexfs_inode_fault(struct super_block *sb, u64 number,
				     const struct vexfs_disk_inode *disk)
{
	unsigned int slot;

	if (le32_to_cpu(disk->magic) != VEXFS_INODE_MAGIC)
		return "wrong magic";
	if (le32_to_cpu(disk->checksum) != vexfs_inode_checksum(sb, number, disk))
		return "wrong checksum";
	if (le16_to_cpu(disk->flags) & ~VEXFS_INODE_COLLECTION)
		return "unknown flags";
	if (disk->flags && !S_ISREG(le16_to_cpu(disk->mode)))
		return "a collection that is no regular file";
	if (!disk->links || le32_to_cpu(disk->links) > VEXFS_MAX_LINKS)
		return "wrong number of links";
	if (le32_to_cpu(disk->atime_nsec) >= NSEC_PER_SEC ||
	    le32_to_cpu(disk->mtime_nsec) >= NSEC_PER_SEC ||
	    le32_to_cpu(disk->ctime_nsec) >= NSEC_PER_SEC)
		return "wrong time";
	for (slot = 0; slot < VEXFS_POINTERS; slot++)
		if (disk->pointers[slot] &&
		    !vexfs_is_data_block(sb, le32_to_cpu(disk->pointers[slot])))
			return "pointer out of range";
	return vexfs_size_fault(disk);
}

static struct timespec64 vexfs_time(__le64 seconds, __le32 nanoseconds)
{
	return (struct timespec64){
		.tv_sec = le64_to_cpu(seconds),
		.tv_nsec = le32_to_cpu(nanoseconds),
	};
}

static void vexfs_set_operations(struct inode *inode)
{
	switch (inode->i_mode & S_IFMT) {
	case S_IFREG:
		inode->i_op = &vexfs_file_inode_operations;
		inode->i_fop = &vexfs_file_operations;
		inode->i_mapping->a_ops = &vexfs_aops;
		break;
	case S_IFDIR:
		inode->i_op = &vexfs_dir_inode_operations;
		inode->i_fop = &vexfs_dir_operations;
		break;
	case S_IFLNK:
		inode->i_op = &vexfs_symlink_inode_operations;
		inode->i_mapping->a_ops = &vexfs_aops;
		inode_nohighmem(inode);
		break;
	}
}

static void vexfs_fill_inode(struct inode *inode, const struct vexfs_disk_inode *disk)
{
	struct vexfs_inode *vi = VEXFS_I(inode);
	unsigned int slot;

	inode->i_mode = le16_to_cpu(disk->mode);
	i_uid_write(inode, le32_to_cpu(disk->uid));
	i_gid_write(inode, le32_to_cpu(disk->gid));
	set_nlink(inode, le32_to_cpu(disk->links));
	inode->i_generation = le32_to_cpu(disk->generation);
	inode->i_size = le64_to_cpu(disk->size);
	inode_set_bytes(inode, (loff_t)le32_to_cpu(disk->blocks) << VEXFS_BLOCK_BITS);
	vexfs_set_atime(inode, vexfs_time(disk->atime, disk->atime_nsec));
	vexfs_set_mtime(inode, vexfs_time(disk->mtime, disk->mtime_nsec));
	vexfs_set_ctime(inode, vexfs_time(disk->ctime, disk->ctime_nsec));
	for (slot = 0; slot < VEXFS_POINTERS; slot++)
		vi->pointers[slot] = le32_to_cpu(disk->pointers[slot]);
	vi->flags = le16_to_cpu(disk->flags);
	vi->sealed = vi->flags & VEXFS_INODE_COLLECTION;
	vexfs_set_operations(inode);
}

static int vexfs_read_inode(struct inode *inode)
{
	struct super_block *sb = inode->i_sb;
	struct vexfs_disk_inode *disk;
	struct buffer_head *bh;
	const char *fault;

	if (!vexfs_bitmap_test(&VEXFS_SB(sb)->inodes, inode->i_ino - VEXFS_ROOT_INODE)) {
		vexfs_damaged(sb, "inode %llu: it is free", (u64)inode->i_ino);
		return -EUCLEAN;
	}
	bh = vexfs_inode_block(sb, inode->i_ino, &disk);
	if (!bh)
		return -EIO;

	lock_buffer(bh);	/* a neighbour may be being written */
	fault = vexfs_inode_fault(sb, inode->i_ino, disk);
	if (!fault)
		vexfs_fill_inode(inode, disk);
	unlock_buffer(bh);
	brelse(bh);
	if (fault) {
		vexfs_damaged(sb, "inode %llu: %s", (u64)inode->i_ino, fault);
		return -EUCLEAN;
	}
	return 0;
}

/* Returns the inode with this number, or -EUCLEAN, -EIO, -ENOMEM. */
struct inode *vexfs_iget(struct super_block *sb, u64 number)
{
	struct inode *inode;
	int error;

	if (!vexfs_is_inode_number(sb, number)) {
		vexfs_damaged(sb, "inode %llu: there is no such number", number);
		return ERR_PTR(-EUCLEAN);
	}
	inode = iget_locked(sb, number);
	if (!inode)
		return ERR_PTR(-ENOMEM);
	if (!vexfs_inode_is_new(inode))
		return inode;

	error = vexfs_read_inode(inode);
	if (error) {
		iget_failed(inode);
		return ERR_PTR(error);
	}
	unlock_new_inode(inode);
	return inode;
}

/*
 * Makes an inode for a new entry of @dir.  It is locked as new until
 * d_instantiate_new(), or discard_new_inode() when its link count is 0.
 */
struct inode *vexfs_new_inode(struct inode *dir, umode_t mode)
{
	struct super_block *sb = dir->i_sb;
	struct vexfs_bitmap *bitmap = &VEXFS_SB(sb)->inodes;
	struct inode *inode;
	u64 bit;
	int error;

	inode = new_inode(sb);
	if (!inode)
		return ERR_PTR(-ENOMEM);
	error = vexfs_bitmap_take(bitmap, &bit);
	if (error)
		goto fail;

	inode->i_ino = bit + VEXFS_ROOT_INODE;
	vexfs_inode_init_owner(inode, dir, mode);
	inode->i_generation = get_random_u32();
	vexfs_set_atime(inode, current_time(inode));
	vexfs_set_mtime(inode, vexfs_get_atime(inode));
	vexfs_set_ctime(inode, vexfs_get_atime(inode));
	vexfs_set_operations(inode);
	if (insert_inode_locked(inode)) {
		vexfs_damaged(sb, "inode %llu: free, but in use", (u64)inode->i_ino);
		error = -EUCLEAN;
		goto fail;
	}
	mark_inode_dirty(inode);
	return inode;

fail:
	make_bad_inode(inode);	/* nothing of it is on the disk */
	iput(inode);
	return ERR_PTR(error);
}

/* Sets the modification and change times to now. */
void vexfs_touch(struct inode *inode)
{
	struct timespec64 now = current_time(inode);

	vexfs_set_mtime(inode, now);
	vexfs_set_ctime(inode, now);
	mark_inode_dirty(inode);
}

static void vexfs_fill_disk_inode(struct inode *inode, struct vexfs_disk_inode *disk)
{
	struct vexfs_inode *vi = VEXFS_I(inode);
	struct timespec64 atime = vexfs_get_atime(inode);
	struct timespec64 mtime = vexfs_get_mtime(inode);
	struct timespec64 ctime = vexfs_get_ctime(inode);
	unsigned int slot;

	memset(disk, 0, sizeof(*disk));
	disk->magic = cpu_to_le32(VEXFS_INODE_MAGIC);
	disk->generation = cpu_to_le32(inode->i_generation);
	disk->mode = cpu_to_le16(inode->i_mode);
	disk->flags = cpu_to_le16(vi->flags);
	disk->links = cpu_to_le32(inode->i_nlink);
	disk->uid = cpu_to_le32(i_uid_read(inode));
	disk->gid = cpu_to_le32(i_gid_read(inode));
	disk->blocks = cpu_to_le32(inode_get_bytes(inode) >> VEXFS_BLOCK_BITS);
	disk->size = cpu_to_le64(i_size_read(inode));
	disk->atime = cpu_to_le64(atime.tv_sec);
	disk->mtime = cpu_to_le64(mtime.tv_sec);
	disk->ctime = cpu_to_le64(ctime.tv_sec);
	disk->atime_nsec = cpu_to_le32(atime.tv_nsec);
	disk->mtime_nsec = cpu_to_le32(mtime.tv_nsec);
	disk->ctime_nsec = cpu_to_le32(ctime.tv_nsec);
	for (slot = 0; slot < VEXFS_POINTERS; slot++)
		disk->pointers[slot] = cpu_to_le32(vi->pointers[slot]);
	disk->checksum = cpu_to_le32(vexfs_inode_checksum(inode->i_sb, inode->i_ino, disk));
}

/* Puts the inode into its block of the table; the caller holds map_lock. */
void vexfs_store_inode(struct inode *inode)
{
	struct vexfs_disk_inode *disk;
	struct buffer_head *bh;

	bh = vexfs_inode_block(inode->i_sb, inode->i_ino, &disk);
	if (!bh) {
		vexfs_damaged(inode->i_sb, "inode %llu: can't be written", (u64)inode->i_ino);
		return;
	}
	lock_buffer(bh);
	vexfs_fill_disk_inode(inode, disk);
	set_buffer_uptodate(bh);
	unlock_buffer(bh);
	mark_buffer_dirty(bh);
	brelse(bh);
}

/* The inode has changed: so does its block of the table, which a commit writes. */
void vexfs_dirty_inode(struct inode *inode, int flags)
{
	struct vexfs_inode *vi = VEXFS_I(inode);

	if (flags == I_DIRTY_TIME)
		return;		/* lazytime: only in memory for now */
	down_read(&vi->map_lock);
	vexfs_store_inode(inode);
	up_read(&vi->map_lock);
}

/* Leaves nothing of a deleted inode that could be taken for a live one. */
static void vexfs_erase_inode(struct inode *inode)
{
	struct vexfs_disk_inode *disk;
	struct buffer_head *bh;

	bh = vexfs_inode_block(inode->i_sb, inode->i_ino, &disk);
	if (!bh)
		return;
	lock_buffer(bh);
	memset(disk, 0, sizeof(*disk));
	unlock_buffer(bh);
	mark_buffer_dirty(bh);
	brelse(bh);
}

/* The inode leaves memory; when its last name is gone it leaves the disk too. */
void vexfs_evict_inode(struct inode *inode)
{
	struct super_block *sb = inode->i_sb;
	/* When damage has made it read-only, "vexctl check" has to delete. */
	bool delete = !inode->i_nlink && !is_bad_inode(inode) && !sb_rdonly(sb);

	truncate_inode_pages_final(&inode->i_data);
	vexfs_collection_forget(inode);
	if (delete) {
		sb_start_intwrite(sb);
		inode->i_size = 0;
		vexfs_free_blocks(inode, 0);
		vexfs_erase_inode(inode);
	}
	clear_inode(inode);
	if (delete) {
		/* Last, because from here on the number may be taken again. */
		vexfs_bitmap_give(&VEXFS_SB(sb)->inodes, inode->i_ino - VEXFS_ROOT_INODE);
		sb_end_intwrite(sb);
	}
}

static int vexfs_set_size(struct inode *inode, loff_t size)
{
	int error;

	/* What is cut off from the last block must read as zeros if the file grows again. */
	error = block_truncate_page(inode->i_mapping, size, vexfs_get_block);
	if (error)
		return error;
	truncate_setsize(inode, size);
	error = vexfs_free_blocks(inode, DIV_ROUND_UP_ULL(size, VEXFS_BLOCK_SIZE));
	vexfs_touch(inode);
	return error;
}

int vexfs_setattr(VEXFS_IDMAP_ARG struct dentry *dentry, struct iattr *attr)
{
	struct inode *inode = d_inode(dentry);
	int error;

	error = vexfs_setattr_prepare(dentry, attr);
	if (error)
		return error;
	if ((attr->ia_valid & ATTR_SIZE) && vexfs_is_sealed(inode))
		return -EPERM;
	if ((attr->ia_valid & ATTR_SIZE) && attr->ia_size != i_size_read(inode)) {
		error = vexfs_set_size(inode, attr->ia_size);
		if (error)
			return error;
	}
	vexfs_setattr_copy(inode, attr);
	mark_inode_dirty(inode);
	return 0;
}
