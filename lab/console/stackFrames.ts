/**
 * The frames of a kernel stack trace, and which of them is to blame. Pure.
 * The form: lib/vsprintf.c (%pBb), arch/x86/kernel/dumpstack.c.
 */

export interface StackFrame {
  /** The line as the kernel printed it. */
  readonly text: string;
  /** Without what the compiler adds, such as `.cold` or `.part.0`. */
  readonly function: string;
  /** As in the symbol table. */
  readonly symbol: string;
  /** Bytes from the symbol's beginning. */
  readonly offset: number;
  readonly module?: string;
  /** It is the instruction that was executed; of other frames, the call is before it. */
  readonly instruction: boolean;
  /** False for an address that merely lay on the stack (`?`). */
  readonly reliable: boolean;
  /** `file:line`, where debug information tells. */
  readonly source?: string;
}

const symbolForm = String.raw`([A-Za-z_][\w.$]{0,200})\+0x([0-9a-f]{1,16})\/0x[0-9a-f]{1,16}(?: \[([\w-]{1,64})(?: [0-9a-f]+)?\])?`;
/** `function+0x1/0x2 [module]` somewhere in a line. */
const symbolPattern = new RegExp(symbolForm);
const framePattern = new RegExp(String.raw`^\s{0,8}(?:\[<[0-9a-f]{1,16}>\] )?(\? )?${symbolForm}$`);
// 0033 is user space.
const instructionPattern = new RegExp(String.raw`^RIP: 0010:${symbolForm}`);

/** The frame that a message shows, if it does. */
export function stackFrame(text: string): StackFrame | undefined {
  const instruction = instructionPattern.exec(text);
  if (instruction !== null) return frameOf(text, instruction.slice(1), true);
  const [, guess, ...parts] = framePattern.exec(text) ?? [];
  if (parts.length === 0) return undefined;
  return frameOf(text, parts, false, guess === undefined);
}

/** The first `function+0x1/0x2 [module]` in a message. */
export function namedFrame(text: string): StackFrame | undefined {
  const match = symbolPattern.exec(text);
  return match === null ? undefined : frameOf(text, match.slice(1), true);
}

function frameOf(
  text: string,
  [symbol = "", offset = "0", module]: readonly (string | undefined)[],
  instruction: boolean,
  reliable = true,
): StackFrame {
  return {
    text,
    function: symbol.replace(/\.(?:cold|part|isra|constprop|llvm)\b.*$/, ""),
    symbol,
    offset: Number.parseInt(offset, 16),
    ...(module !== undefined && { module }),
    instruction,
    reliable,
  };
}

/*
 * Functions that notice or report a fault, or that everybody calls: their caller is to blame. Each
 * line is a subject; a name stands for what begins with it when it ends with *.
 */
const reporting = patternOf(
  "dump_stack* show_stack* show_regs* __warn* warn_slowpath* report_bug handle_bug* __report_bug panic",
  "vpanic check_panic_on_warn nmi_panic die* __die* oops_* page_fault_oops do_trap* do_error_trap",
  "exc_* asm_* sysvec_* handle_stack_overflow no_context __bad_area* bad_area* bugcheck* do_user_addr_fault",
  "kasan_* __kasan_* __asan_* print_* kfence_* __kfence* kcsan_* __tsan_* kmsan_* __msan_* ubsan_*",
  "__ubsan_* lockdep_* lock_acquire* __lock_acquire lock_release* check_prev_add check_prevs_add",
  "validate_chain check_noncircular check_deadlock check_irq_usage check_usage* check_wait_context",
  "mark_lock* __might_sleep __might_resched __schedule_bug dequeue_task_idle debug_*",
  "nmi_cpu_backtrace* nmi_trigger* arch_trigger* trigger_* watchdog* __perf_event* perf_*",
  "rcu_dump* rcu_check* rcu_sched_clock_irq rcu_note_context_switch print_other* update_process_times tick_* __hrtimer* hrtimer_*",
  "sched_show_task show_state*",
);
const everybodys = patternOf(
  // Lists, strings, memory.
  "__list_add_valid* __list_del_entry_valid* memcpy* memset* memmove* memcmp memchr* __memcpy* __memset*",
  "__memmove* strlen strnlen strcmp strncmp strcpy strncpy strlcpy strscpy* sized_strscpy* strchr strstr",
  "copy_to_* copy_from_* _copy_* __copy_* copy_user* rep_movs* rep_stos* clear_user* __get_user*",
  "__put_user* get_user* put_user* refcount_* kref_* csum_* crc32*",
  // Allocators.
  "kmem_cache_* __kmem_cache* do_kmem_cache* kmalloc* __kmalloc* __do_kmalloc* kfree* kvfree* kvmalloc*",
  "krealloc* kzalloc* vmalloc* __vmalloc* vfree* slab_* __slab_* ___slab_* check_object check_slab",
  "check_bytes* object_err free_debug_* alloc_debug_* free_to_partial* on_freelist set_freepointer",
  "get_freepointer* do_slab_free free_large_kmalloc ___cache_free* free_slab* discard_slab init_object",
  "check_pad* fixup_* deactivate_slab get_partial* get_any_partial* get_from_partial* get_from_any_partial*",
  "__alloc_pages* alloc_pages* alloc_page* __alloc_frozen* __folio_alloc* folio_alloc* get_page_from_*",
  "out_of_memory oom_kill* dump_header __get_free_pages get_free_pages __free_pages* free_unref*",
  "kmemleak_* create_object*",
  // Locks and waiting.
  "mutex_* __mutex_* ww_mutex* rt_mutex* _raw_* do_raw_* native_queued_* queued_* pv_queued_* osq_*",
  "rwsem_* down down_* __down* up up_* __up* schedule* __schedule* preempt_schedule* __cond_resched",
  "io_schedule* msleep* usleep* ssleep wait_for_* __wait_* do_wait* bit_wait* out_of_line_wait*",
  "wait_on_* sleep_on* __flush_work* flush_work* __flush_workqueue flush_workqueue synchronize_*",
  "rcu_barrier* wait_rcu_* smp_call_function* on_each_cpu* __cond_resched* cond_resched*",
  // The ways into the kernel and the idle loop.
  "entry_* do_syscall_* __x64_sys_* __do_sys_* __se_sys_* x64_sys_call ksys_* ret_from_fork* kthread",
  "worker_thread process_one_work process_scheduled_works do_idle default_idle* cpu_startup_entry",
  "start_secondary* secondary_startup* *safe_halt pv_native_safe_halt native_safe_halt cpuidle_*",
  "start_kernel* rest_init arch_call_rest_init x86_64_start_* do_one_initcall do_init_module load_module",
  "init_module_from_file idempotent_init_module do_softirq* __do_softirq* handle_softirqs* irq_exit*",
  "__irq_exit* restore_regs* error_entry double_fault asm_exc* vprintk* printk* _printk* console_*",
);

function patternOf(...lines: readonly string[]): RegExp {
  const words = lines
    .join(" ")
    .split(" ")
    .map((word) => word.replaceAll("*", String.raw`[\w.]*`));
  return new RegExp(`^(?:${words.join("|")})$`);
}

/** Which of the frames, the innermost first, is at fault: the first that isn't everybody's. */
export function frameAtFault(frames: readonly StackFrame[]): StackFrame | undefined {
  const known = certain(frames).filter(
    (frame) => frame.module !== undefined || !reporting.test(frame.function),
  );
  const isOwn = (frame: StackFrame): boolean =>
    frame.module !== undefined || !everybodys.test(frame.function);
  return known.find(isOwn) ?? known[0];
}

/** The module of the frame, or else the one that called it. */
export function moduleAtFault(
  frames: readonly StackFrame[],
  atFault: StackFrame | undefined,
): string | undefined {
  if (atFault?.module !== undefined) return atFault.module;
  return certain(frames).find((frame) => frame.module !== undefined)?.module;
}

/** The stack of a task that runs elsewhere is only guessed at: then all of it counts. */
function certain(frames: readonly StackFrame[]): readonly StackFrame[] {
  const reliable = frames.filter((frame) => frame.reliable);
  return reliable.length === 0 ? frames : reliable;
}
