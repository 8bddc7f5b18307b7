# For amd64 on another machine: Debian's cross compiler, and libraries of its
# architecture amd64 beside the machine's own (dpkg --add-architecture amd64).

set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR x86_64)
set(CMAKE_C_COMPILER x86_64-linux-gnu-gcc)
