// SPDX-License-Identifier: GPL-2.0
/* faults: sleeping where it is forbidden, and sleeping for ever. */
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/kthread.h>
#include <linux/mutex.h>
#include <linux/preempt.h>
#include <linux/sched.h>

#include "faults.h"

#define HOLD_MS		200

static DEFINE_MUTEX(lock_a);
static DEFINE_MUTEX(lock_b);
static DECLARE_COMPLETION(never_done);

static noinline int fault_scheduling_while_atomic(void)
{
	preempt_disable();
	msleep(20);
	preempt_enable();
	return 0;
}

/* Reported by kernels with CONFIG_DEBUG_ATOMIC_SLEEP only. */
static noinline int fault_sleeping_in_atomic(void)
{
	preempt_disable();
	mutex_lock(&lock_a);
	mutex_unlock(&lock_a);
	preempt_enable();
	return 0;
}

static noinline int fault_uninterruptible_wait(void)
{
	wait_for_completion(&never_done);
	return 0;
}

static int hung_thread(void *data)
{
	return fault_uninterruptible_wait();
}

/* The module's caller comes back; a thread of it never does. */
static noinline int fault_hung_task(void)
{
	return PTR_ERR_OR_ZERO(kthread_run(hung_thread, NULL, "faults_hung"));
}

static noinline void take_a_then_b(void)
{
	mutex_lock(&lock_a);
	msleep(HOLD_MS);
	mutex_lock(&lock_b);
	mutex_unlock(&lock_b);
	mutex_unlock(&lock_a);
}

static noinline void take_b_then_a(void)
{
	mutex_lock(&lock_b);
	msleep(HOLD_MS);
	mutex_lock(&lock_a);
	mutex_unlock(&lock_a);
	mutex_unlock(&lock_b);
}

static int other_order(void *data)
{
	take_b_then_a();
	return 0;
}

static noinline int fault_deadlock(void)
{
	struct task_struct *other = kthread_run(other_order, NULL, "faults_b_a");

	if (IS_ERR(other))
		return PTR_ERR(other);
	take_a_then_b();
	return 0;
}

const struct fault sleep_faults[] = {
	{ "scheduling-while-atomic", fault_scheduling_while_atomic },
	{ "sleeping-in-atomic", fault_sleeping_in_atomic },
	{ "uninterruptible-wait", fault_uninterruptible_wait },
	{ "hung-task", fault_hung_task },
	{ "deadlock", fault_deadlock },
	{ }
};
