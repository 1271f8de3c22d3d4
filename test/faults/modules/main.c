// SPDX-License-Identifier: GPL-2.0
/*
 * faults: chooses a fault by name, and from where it is made.
 *
 *	insmod faults.ko fault=null-pointer at=ioctl
 *
 * For at=ioctl, opening and calling is the user's part: ioctl(fd, FAULTS_MAKE).
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/fs.h>
#include <linux/ioctl.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/string.h>
#include <linux/workqueue.h>

#include "faults.h"

#define FAULTS_MAKE	_IO('F', 1)

static char *fault = "";
module_param(fault, charp, 0444);
MODULE_PARM_DESC(fault, "Which fault to make; none by default");

static char *at = "init";
module_param(at, charp, 0444);
MODULE_PARM_DESC(at, "Where: init (the default), exit, ioctl or work");

static const struct fault *const tables[] = {
	oops_faults, report_faults, stall_faults, sleep_faults,
	list_faults, slab_faults, silent_faults, memory_faults, guest_faults,
};

static const struct fault *chosen;

static const struct fault *find_fault(const char *name)
{
	const struct fault *each;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(tables); i++)
		for (each = tables[i]; each->name; each++)
			if (!strcmp(each->name, name))
				return each;
	return NULL;
}

static noinline int make_fault(void)
{
	int err;

	if (!chosen)
		return 0;
	pr_info("making fault %s at %s\n", chosen->name, at);
	err = chosen->make();
	pr_info("made fault %s: %d\n", chosen->name, err);
	return err;
}

static noinline void faults_work(struct work_struct *work)
{
	make_fault();
}

static DECLARE_WORK(fault_work, faults_work);

static long faults_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	if (cmd != FAULTS_MAKE)
		return -ENOTTY;
	return make_fault();
}

static const struct file_operations faults_fops = {
	.owner		= THIS_MODULE,
	.unlocked_ioctl	= faults_ioctl,
};

static struct miscdevice faults_device = {
	.minor	= MISC_DYNAMIC_MINOR,
	.name	= "faults",
	.fops	= &faults_fops,
};

static int __init faults_init(void)
{
	int err;

	if (*fault) {
		chosen = find_fault(fault);
		if (!chosen) {
			pr_err("there is no fault %s\n", fault);
			return -EINVAL;
		}
	}
	err = misc_register(&faults_device);
	if (err)
		return err;
	if (!strcmp(at, "work"))
		schedule_work(&fault_work);
	else if (!strcmp(at, "init"))
		err = make_fault();
	if (err)
		misc_deregister(&faults_device);
	return err;
}

static void __exit faults_exit(void)
{
	flush_work(&fault_work);
	misc_deregister(&faults_device);
	if (!strcmp(at, "exit"))
		make_fault();
}

module_init(faults_init);
module_exit(faults_exit);

MODULE_DESCRIPTION("Faults on purpose, to be recognised");
MODULE_LICENSE("GPL");
