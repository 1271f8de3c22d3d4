/* SPDX-License-Identifier: GPL-2.0 */
/* vexfs: what the files of the module share. */
#ifndef VEXFS_H
#define VEXFS_H

#include <linux/buffer_head.h>
#include <linux/fs.h>
#include <linux/fs_context.h>
#include <linux/fs_parser.h>
#include <linux/mutex.h>
#include <linux/rwsem.h>
#include <linux/seq_file.h>

#include "compat.h"
#include "format.h"

/*
 * Locks, outermost first:
 *   vexfs_inode.collection_lock > inode->i_rwsem (the VFS) > folio lock >
 *   vexfs_inode.map_lock > vexfs_sb.commit_lock > vexfs_sb.giving >
 *   vexfs_bitmap.lock > buffer lock
 */

/*
 * A bitmap of inodes or blocks; it stays in memory while mounted.  What was
 * given back stays set until a commit: see commit.c.
 */
struct vexfs_bitmap {
	struct super_block *sb;
	struct mutex lock;		/* guards what follows and the bits */
	u64 bits;			/* valid bits */
	u64 free;			/* of these, clear or given back */
	u64 next;			/* where the next search starts */
	u32 block_count;
	struct buffer_head **blocks;
	unsigned long *given;		/* set: given back since the last commit began */
	unsigned long *leaving;		/* set: given back before that */
	bool any_given;
};

struct vexfs_options {
	enum {
		VEXFS_ERRORS_CONTINUE,
		VEXFS_ERRORS_REMOUNT_RO,
	} errors;			/* what to do when damage is seen */
	bool debug;
};

struct vexfs_sb {
	struct vexfs_options options;
	struct buffer_head *superblock;
	struct vexfs_bitmap inodes;	/* bit 0 is inode 1 */
	struct vexfs_bitmap blocks;	/* bit 0 is block 0 */
	u8 uuid[16];
	u64 block_count;
	u32 inode_count;
	u32 inode_table;		/* first block */
	u32 data;			/* first block */
	bool damaged;			/* seen while mounted: never marked clean */
	struct mutex commit_lock;	/* one commit at a time */
	struct rw_semaphore giving;	/* read: blocks are given back, their inode has yet to say so */
};

struct vexfs_vectors;

struct vexfs_inode {
	struct rw_semaphore collection_lock;	/* guards vectors, and a collection's content */
	struct vexfs_vectors *vectors;	/* of a collection that was used */
	u16 flags;			/* as on the disk */
	bool sealed;			/* a collection, or about to be one: not for write(2) */
	struct rw_semaphore map_lock;	/* guards pointers[] and the blocks below */
	u32 pointers[VEXFS_POINTERS];
	struct inode vfs_inode;
};

static inline struct vexfs_sb *VEXFS_SB(struct super_block *sb)
{
	return sb->s_fs_info;
}

static inline struct vexfs_inode *VEXFS_I(struct inode *inode)
{
	return container_of(inode, struct vexfs_inode, vfs_inode);
}

/* Whether @block may hold data, directories or pointers. */
static inline bool vexfs_is_data_block(struct super_block *sb, u64 block)
{
	return block >= VEXFS_SB(sb)->data && block < VEXFS_SB(sb)->block_count;
}

static inline bool vexfs_is_sealed(struct inode *inode)
{
	return READ_ONCE(VEXFS_I(inode)->sealed);
}

/* super.c */
extern bool vexfs_debug_enabled;

#define vexfs_debug(sb, format, ...)							\
do {											\
	if (unlikely(vexfs_debug_enabled || VEXFS_SB(sb)->options.debug))			\
		pr_info("%s: " format "\n", (sb)->s_id, ##__VA_ARGS__);			\
} while (0)

__printf(2, 3) void vexfs_damaged(struct super_block *sb, const char *format, ...);

/* options.c */
extern const struct fs_parameter_spec vexfs_parameters[];

int vexfs_parse_param(struct fs_context *fc, struct fs_parameter *param);
int vexfs_show_options(struct seq_file *file, struct dentry *root);

/* metadata.c */
u32 vexfs_checksum(const u8 *uuid, u64 number, const void *data, size_t size);
u32 vexfs_data_checksum(const u8 *uuid, u64 number, const void *data, size_t size);
struct buffer_head *vexfs_read_block(struct super_block *sb, u64 block, u32 magic, u32 owner);
struct buffer_head *vexfs_new_block(struct super_block *sb, u64 block, u32 magic, u32 owner);
void vexfs_change_begin(struct buffer_head *bh);
void vexfs_change_end(struct super_block *sb, struct buffer_head *bh);

static inline void *vexfs_payload(struct buffer_head *bh)
{
	return bh->b_data + VEXFS_HEADER_SIZE;
}

/* balloc.c */
int vexfs_bitmap_load(struct super_block *sb, struct vexfs_bitmap *bitmap, u32 first, u64 bits);
void vexfs_bitmap_release(struct vexfs_bitmap *bitmap);
int vexfs_bitmap_take(struct vexfs_bitmap *bitmap, u64 *bit);
int vexfs_bitmap_give(struct vexfs_bitmap *bitmap, u64 bit);
void vexfs_bitmap_commit_begin(struct vexfs_bitmap *bitmap);
void vexfs_bitmap_commit_end(struct vexfs_bitmap *bitmap, bool done);
bool vexfs_bitmap_test(struct vexfs_bitmap *bitmap, u64 bit);
u64 vexfs_bitmap_free(struct vexfs_bitmap *bitmap);

/* commit.c */
int vexfs_commit(struct super_block *sb);
int vexfs_fsync(struct file *file, loff_t start, loff_t end, int datasync);
int vexfs_sync_fs(struct super_block *sb, int wait);
int vexfs_write_through(struct super_block *sb, struct buffer_head *bh);

/* map.c */
int vexfs_map(struct inode *inode, u64 index, u32 wanted, bool create,
	      u64 *block, u32 *count, bool *created);
int vexfs_get_block(struct inode *inode, sector_t index, struct buffer_head *bh, int create);
int vexfs_free_blocks(struct inode *inode, u64 first);
bool vexfs_pointers_valid(struct super_block *sb, struct buffer_head *bh);

/* inode.c */
struct inode *vexfs_iget(struct super_block *sb, u64 number);
struct inode *vexfs_new_inode(struct inode *dir, umode_t mode);
void vexfs_store_inode(struct inode *inode);
void vexfs_dirty_inode(struct inode *inode, int flags);
void vexfs_evict_inode(struct inode *inode);
int vexfs_setattr(VEXFS_IDMAP_ARG struct dentry *dentry, struct iattr *attr);
void vexfs_touch(struct inode *inode);

/* file.c */
extern const struct address_space_operations vexfs_aops;
extern const struct file_operations vexfs_file_operations;
extern const struct inode_operations vexfs_file_inode_operations;
extern const struct inode_operations vexfs_symlink_inode_operations;

/* collection.c */
void vexfs_collection_forget(struct inode *inode);

/* ioctl.c */
long vexfs_ioctl(struct file *file, unsigned int command, unsigned long argument);

/* dir.c */
struct vexfs_slot {			/* where a name is: release by vexfs_slot_put() */
	struct buffer_head *bh;
	unsigned int offset;
};

extern const struct file_operations vexfs_dir_operations;

static inline struct vexfs_dirent *vexfs_slot_dirent(const struct vexfs_slot *slot)
{
	return (struct vexfs_dirent *)(slot->bh->b_data + slot->offset);
}

static inline void vexfs_slot_put(struct vexfs_slot *slot)
{
	brelse(slot->bh);
	slot->bh = NULL;
}

int vexfs_dir_find(struct inode *dir, const struct qstr *name, struct vexfs_slot *slot);
int vexfs_dir_add(struct inode *dir, const struct qstr *name, struct inode *inode);
void vexfs_dir_replace(struct inode *dir, struct vexfs_slot *slot, struct inode *inode);
void vexfs_dir_remove(struct inode *dir, struct vexfs_slot *slot);
int vexfs_dir_grow(struct inode *dir);
int vexfs_dir_is_empty(struct inode *dir);
bool vexfs_dir_block_valid(struct super_block *sb, struct buffer_head *bh);

/* namei.c */
extern const struct inode_operations vexfs_dir_inode_operations;

#endif /* VEXFS_H */
