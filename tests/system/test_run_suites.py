# SPDX-License-Identifier: MIT
"""What tini and dumb-init are tested for, case by case, and where postern is tested for the same.

Their options that postern does not have stand for the nearest thing that it does.  `as_init` in a
test means that it runs twice: below another process as sub-reaper, and as the first process of a
PID namespace.

tini, inner tests
 1  exit codes, inclusive          test_run_status::test_each_exit_code_can_be_remapped
 2  exit codes, exclusive          test_run_status::test_remapping_all_other_codes_changes_nothing
 3  reaping                        test_run_orphans::test_orphans_are_reaped
 4  reaping is displayed           test_run_orphans::test_each_reaped_orphan_is_told_at_debug_level
 5  TERM, USR1, USR2               test_run_signals::test_a_command_without_handlers_dies_of_it
 6  process group                  test_run_signals::test_with_the_process_group_a_grandchild_gets_it_too
 7  the same by a variable         test_run_signals::test_with_the_process_group_a_grandchild_gets_it_too
 8  neither sub-reaper nor PID 1   test_run_orphans::test_not_being_able_to_reap_is_warned_about
 9  mask and dispositions          test_run_handover::test_mask_and_dispositions_are_handed_on
10  parent's death                 test_run_signals::test_the_parents_death_is_forwarded
tini, outer tests
11  reaping as PID 1               test_run_orphans::test_orphans_are_reaped
12  TERM, USR1, USR2 to PID 1      test_run_signals::test_a_command_without_handlers_dies_of_it
13  arguments                      test_run_status::test_unknown_and_incomplete_options_are_refused
                                   test_run_status::test_the_help_names_run_and_each_option
                                   test_run_status::test_not_found_and_not_executable_are_told_apart
                                   test_run_status::test_without_a_command_it_says_so
14  no leak                        the test sidecar/run of ctest, under the sanitizers
15  a shell on a terminal          test_run_terminal::test_a_shell_ends_with_its_status
16  the interrupt key              test_run_terminal::test_the_interrupt_key_ends_the_command
17  what was installed runs        test_run_status::test_the_binary_is_enough_in_an_empty_root

dumb-init
 1  TERM ends a whole pipeline     test_run_signals::test_a_whole_pipeline_ends_by_one_term
 2  or the child only              test_run_signals::test_without_the_process_group_only_the_command_gets_it
 3  what is left gets TERM         test_run_orphans::test_what_is_left_gets_term_and_its_time
 4  1, 2, 3 are for the child      test_run_orphans::test_nobody_is_signalled_while_the_command_runs
 5  no such command, four forms    test_run_status::test_a_command_that_is_not_there_is_named
 6  no arguments                   test_run_status::test_without_a_command_it_says_so
 7  invalid option                 test_run_status::test_unknown_and_incomplete_options_are_refused
 8  help                           test_run_status::test_the_help_names_run_and_each_option
 9  version                        test_run_status::test_the_version_is_told
10  verbose                        test_run_status::test_at_debug_level_every_step_is_told_in_its_order
11  verbose, child or group        test_run_status::test_at_debug_level_every_step_is_told_in_its_order
12  malformed rewrites             test_run_status::test_malformed_rewrites_are_refused
13  working folder                 test_run_handover::test_the_working_folder_is_the_commands_and_not_ours
14  exit codes                     test_run_status::test_the_exit_code_is_the_commands
15  killed by a signal             test_run_status::test_a_command_that_a_signal_ended_gives_128_and_its_number
16  every signal, in order         test_run_signals::test_every_signal_reaches_the_command_in_order
17  rewrite maps                   test_run_signals::test_signals_are_rewritten
18  stopping ones rewritten        test_run_terminal::test_rewritten_ones_stop_us_all_the_same
                                   test_run_terminal::test_rewritten_to_stop_the_command_cannot_refuse
19  rewritten to nothing           test_run_signals::test_signals_are_rewritten
20  stop and continue together     test_run_terminal::test_we_stop_after_the_command_and_go_on_with_it
21  forwarded, then we stop        test_run_terminal::test_a_command_that_handles_them_gets_both
22  input and output of a terminal test_run_terminal::test_what_is_typed_reaches_the_command_and_its_answer_comes_back
23  controlling terminal           test_run_terminal::test_a_shell_has_job_control
24  hangup of a session's leader   test_run_terminal::test_a_session_leader_forwards_the_first_hangup
25  no zombie as PID 1             test_run_orphans::test_no_zombie_is_left_by_a_double_fork

ours
 1  a burst of 1000 exits          test_run_orphans::test_a_burst_of_a_thousand_exits_loses_none
 2  real-time signals              test_run_signals::test_every_signal_reaches_the_command_in_order
                                   test_run_signals::test_queued_signals_keep_their_order_and_their_values
                                   test_run_signals::test_signals_that_python_cannot_wait_for_are_forwarded_too
 3  between fork and exec          test_run_signals::test_signals_between_fork_and_exec_reach_the_command
 4  it ends while we forward       test_run_signals::test_the_command_may_end_while_signals_pour_in
 5  SIGKILL                        test_run_signals::test_a_killed_command_is_noticed
 6  traced                         test_run_signals::test_a_command_in_the_hands_of_a_tracer_is_not_taken_for_ended
                                   test_run_signals::test_a_command_that_asks_to_be_traced_is_not_taken_for_ended
 7  grace period of orphans        test_run_orphans::test_what_is_left_gets_term_and_its_time
                                   test_run_orphans::test_a_second_term_cuts_the_grace_period_short
                                   test_run_orphans::test_what_is_made_while_we_kill_is_killed_too
 8  descriptors, limits and so on  test_run_handover::test_descriptors_are_handed_on_with_their_numbers
                                   test_run_handover::test_limits_are_handed_on
                                   test_run_handover::test_everything_else_that_the_kernel_tells_is_the_same
 9  no wake-up while idle          test_run_limits::test_idle_it_does_not_wake_up
10  SIGCHLD ignored on entry       test_run_handover::test_sigchld_ignored_on_entry_does_no_harm
11  no memory, no descriptor       test_run_limits::test_no_memory_after_the_start
                                   test_run_limits::test_three_descriptors_are_enough_to_start
"""
import importlib
import re

ROW = re.compile(r"^ ?(\d+)  \S", re.M)
REFERENCE = re.compile(r"\b(test_run_\w+)::(test_\w+)")


def part(title, end):
    return __doc__[__doc__.index(f"\n{title}\n"):].split(f"\n{end}\n")[0]


def test_every_case_has_its_row():
    assert [int(n) for n in ROW.findall(part("tini, inner tests", "dumb-init"))] == \
        list(range(1, 18))
    assert [int(n) for n in ROW.findall(part("dumb-init", "ours"))] == list(range(1, 26))


def test_every_test_that_is_named_is_there():
    named = REFERENCE.findall(__doc__)
    assert len(named) > 45
    for module, function in named:
        assert callable(getattr(importlib.import_module(module), function)), function
