/* SPDX-License-Identifier: GPL-2.0 */
/*
 * vexfs: what differs between kernel versions, and nothing else.
 *
 * The rest of the module is written for one kernel; each name here stands for
 * what that kernel has today, and says from which version on.
 */
#ifndef VEXFS_COMPAT_H
#define VEXFS_COMPAT_H

#include <linux/blkdev.h>
#include <linux/buffer_head.h>
#include <linux/crc32.h>
#include <linux/fs.h>
#include <linux/highmem.h>
#include <linux/mpage.h>
#include <linux/pagemap.h>
#include <linux/version.h>

#define VEXFS_KERNEL(major, minor) (LINUX_VERSION_CODE >= KERNEL_VERSION(major, minor, 0))

/* 6.3 gave leases and locks of files a header of their own. */
#if VEXFS_KERNEL(6, 3)
#include <linux/filelock.h>
#endif

/* 6.14 gave CRC-32C a library of its own under a new name. */
static inline u32 vexfs_crc32c(u32 crc, const void *data, size_t size)
{
#if VEXFS_KERNEL(6, 14)
	return crc32c(crc, data, size);
#else
	return __crc32c_le(crc, data, size);
#endif
}

/*
 * Inode operations have had no mapping of users (to 5.11), one by user
 * namespace (to 6.2) and one by mount.  vexfs does not allow mapped mounts, so
 * the argument is never used.
 */
#if VEXFS_KERNEL(6, 3)
#define VEXFS_IDMAP_ARG struct mnt_idmap *idmap,
#define VEXFS_NO_IDMAP &nop_mnt_idmap,
#elif VEXFS_KERNEL(5, 12)
#define VEXFS_IDMAP_ARG struct user_namespace *user_ns,
#define VEXFS_NO_IDMAP &init_user_ns,
#else
#define VEXFS_IDMAP_ARG
#define VEXFS_NO_IDMAP
#endif

static inline void vexfs_inode_init_owner(struct inode *inode, struct inode *dir, umode_t mode)
{
#if VEXFS_KERNEL(5, 12)
	inode_init_owner(VEXFS_NO_IDMAP inode, dir, mode);
#else
	inode_init_owner(inode, dir, mode);
#endif
}

static inline int vexfs_setattr_prepare(struct dentry *dentry, struct iattr *attr)
{
	return setattr_prepare(VEXFS_NO_IDMAP dentry, attr);
}

static inline void vexfs_setattr_copy(struct inode *inode, struct iattr *attr)
{
	setattr_copy(VEXFS_NO_IDMAP inode, attr);
}

/* 7.3: create is not told any more whether the name has to be new; it always is. */
#if VEXFS_KERNEL(7, 3)
#define VEXFS_EXCLUSIVE_ARG
#else
#define VEXFS_EXCLUSIVE_ARG , bool exclusive
#endif

/* 6.15: mkdir returns the directory's dentry. */
#if VEXFS_KERNEL(6, 15)
#define VEXFS_MKDIR_RESULT struct dentry *
#define vexfs_mkdir_result(error) ERR_PTR(error)
#else
#define VEXFS_MKDIR_RESULT int
#define vexfs_mkdir_result(error) (error)
#endif

/*
 * 6.6 hid the inode's change time and 6.7 the other times behind functions.
 * 6.1 got the functions for the change time in a stable release, so names of
 * our own are used.
 */
#if VEXFS_KERNEL(6, 7)
#define vexfs_get_atime(inode) inode_get_atime(inode)
#define vexfs_get_mtime(inode) inode_get_mtime(inode)
#define vexfs_get_ctime(inode) inode_get_ctime(inode)
#define vexfs_set_atime(inode, time) inode_set_atime_to_ts(inode, time)
#define vexfs_set_mtime(inode, time) inode_set_mtime_to_ts(inode, time)
#define vexfs_set_ctime(inode, time) inode_set_ctime_to_ts(inode, time)
#else
#define vexfs_get_atime(inode) ((inode)->i_atime)
#define vexfs_get_mtime(inode) ((inode)->i_mtime)
#define vexfs_set_atime(inode, time) ((inode)->i_atime = (time))
#define vexfs_set_mtime(inode, time) ((inode)->i_mtime = (time))
#if VEXFS_KERNEL(6, 6)
#define vexfs_get_ctime(inode) inode_get_ctime(inode)
#define vexfs_set_ctime(inode, time) inode_set_ctime_to_ts(inode, time)
#else
#define vexfs_get_ctime(inode) ((inode)->i_ctime)
#define vexfs_set_ctime(inode, time) ((inode)->i_ctime = (time))
#endif
#endif

/* 6.19 hid the inode's state. */
static inline bool vexfs_inode_is_new(struct inode *inode)
{
#if VEXFS_KERNEL(6, 19)
	return inode_state_read_once(inode) & I_NEW;
#else
	return inode->i_state & I_NEW;
#endif
}

/*
 * 5.18 made an inode's allocation see to its place in the super block's list of
 * unused inodes, which exists once for each memory control group.
 */
static inline void *vexfs_alloc_inode_object(struct super_block *sb, struct kmem_cache *cache)
{
#if VEXFS_KERNEL(5, 18)
	return alloc_inode_sb(sb, cache, GFP_KERNEL);
#else
	return kmem_cache_alloc(cache, GFP_KERNEL);
#endif
}

/* 5.16 gave block devices a size in bytes. */
static inline loff_t vexfs_device_size(struct super_block *sb)
{
#if VEXFS_KERNEL(5, 16)
	return bdev_nr_bytes(sb->s_bdev);
#else
	return i_size_read(sb->s_bdev->bd_inode);
#endif
}

/* 5.12 left the flush of a device's cache nothing but the device to ask for. */
static inline int vexfs_flush(struct super_block *sb)
{
#if VEXFS_KERNEL(5, 12)
	return blkdev_issue_flush(sb->s_bdev);
#else
	return blkdev_issue_flush(sb->s_bdev, GFP_KERNEL);
#endif
}

/* 6.5 named reading into a pipe after the page cache. */
#if VEXFS_KERNEL(6, 5)
#define vexfs_splice_read filemap_splice_read
#else
#define vexfs_splice_read generic_file_splice_read
#endif

/* 6.6 renamed the translation of an error into a fault's result. */
#if VEXFS_KERNEL(6, 6)
#define vexfs_fault_result(error) vmf_fs_error(error)
#else
#define vexfs_fault_result(error) block_page_mkwrite_return(error)
#endif

/*
 * A write through the page cache works on a folio since 6.12, on a page before;
 * both have been read by the same name.
 */
#if VEXFS_KERNEL(6, 12)
#define vexfs_folio folio
#define vexfs_read_mapping_folio(mapping, index) read_mapping_folio(mapping, index, NULL)
#define vexfs_folio_put(folio) folio_put(folio)
#define vexfs_kmap_folio(folio, pos) kmap_local_folio(folio, offset_in_folio(folio, pos))
#else
#define vexfs_folio page
#define vexfs_read_mapping_folio(mapping, index) read_mapping_page(mapping, index, NULL)
#define vexfs_folio_put(page) put_page(page)
#define vexfs_kmap_folio(page, pos) (vexfs_kmap_page(page) + offset_in_page(pos))
#endif

/* 5.11 made a mapping of the kernel's own possible that does not forbid to sleep. */
#if VEXFS_KERNEL(5, 11)
#define vexfs_kmap_page(page) kmap_local_page(page)
#define vexfs_kunmap(address) kunmap_local(address)
#else
#define vexfs_kmap_page(page) kmap_atomic(page)
#define vexfs_kunmap(address) kunmap_atomic(address)
#endif

/* It got the flags of its caller to 5.18, and gets the whole request since 6.17. */
#if VEXFS_KERNEL(6, 17)
#define VEXFS_WRITE_SOURCE const struct kiocb *source
#else
#define VEXFS_WRITE_SOURCE struct file *source
#endif

#if VEXFS_KERNEL(5, 19)
#define VEXFS_WRITE_INTO(folio) (folio)
#define VEXFS_WRITE_BEGIN(name)								\
	int name(VEXFS_WRITE_SOURCE, struct address_space *mapping, loff_t pos,		\
		 unsigned int len, struct vexfs_folio **folio, void **data)
#define vexfs_block_write_begin(mapping, pos, len, folio, get_block)			\
	block_write_begin(mapping, pos, len, folio, get_block)
#else
#define VEXFS_WRITE_INTO(folio) 0, (folio)
#define VEXFS_WRITE_BEGIN(name)								\
	int name(VEXFS_WRITE_SOURCE, struct address_space *mapping, loff_t pos,		\
		 unsigned int len, unsigned int flags, struct vexfs_folio **folio,	\
		 void **data)
#define vexfs_block_write_begin(mapping, pos, len, folio, get_block)			\
	block_write_begin(mapping, pos, len, flags, folio, get_block)
#endif

#endif /* VEXFS_COMPAT_H */
