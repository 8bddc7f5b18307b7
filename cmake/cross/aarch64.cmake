# For arm64 on another machine: Debian's cross compiler, and libraries of its
# architecture arm64 beside the machine's own (dpkg --add-architecture arm64).

set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
