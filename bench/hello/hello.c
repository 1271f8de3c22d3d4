// SPDX-License-Identifier: GPL-2.0
/* The smallest module there is to test: what surrounds it is what bench/hello.ts measures. */
#include <linux/init.h>
#include <linux/module.h>
#include <linux/printk.h>

#define EDIT "none"

static int __init hello_init(void)
{
	pr_info("hello: loaded, edit " EDIT "\n");
	return 0;
}

static void __exit hello_exit(void)
{
	pr_info("hello: gone\n");
}

module_init(hello_init);
module_exit(hello_exit);

MODULE_DESCRIPTION("Says hello");
MODULE_LICENSE("GPL");
