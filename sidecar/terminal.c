/* SPDX-License-Identifier: MIT */
/* terminal - which process group has the terminal on standard input. */
#include "terminal.h"

#include <unistd.h>

bool terminal_is_there(void)
{
	return tcgetpgrp(STDIN_FILENO) >= 0;
}

bool terminal_is_ours(void)
{
	return terminal_is_of(getpgrp());
}

bool terminal_is_of(pid_t group)
{
	return tcgetpgrp(STDIN_FILENO) == group;
}

void terminal_give(pid_t group)
{
	/* It may have been taken away meanwhile: nothing can be done, and nothing is lost. */
	(void)tcsetpgrp(STDIN_FILENO, group);
}
