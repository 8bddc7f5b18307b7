# One interface target carries warnings, hardening and instrumentation.

add_library(postern_compiling INTERFACE)
add_library(postern::compiling ALIAS postern_compiling)

target_compile_definitions(postern_compiling INTERFACE _GNU_SOURCE)
target_include_directories(postern_compiling INTERFACE ${CMAKE_SOURCE_DIR})
target_compile_options(postern_compiling INTERFACE
	-Wall -Wextra -Wpedantic -Wshadow -Wformat=2 -Wstrict-prototypes
	-Wmissing-prototypes -Wold-style-definition -Wvla -Wwrite-strings
	-Wcast-qual -Wpointer-arith -Wundef -Wswitch-enum -Wimplicit-fallthrough
	-Wconversion -Wsign-conversion -Wnull-dereference -Wdouble-promotion
	-fno-strict-aliasing -fstack-protector-strong
	-ffile-prefix-map=${CMAKE_SOURCE_DIR}=.)
if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
	# What is not initialised is zero in what ships; elsewhere valgrind shall see it.
	target_compile_options(postern_compiling INTERFACE -fstack-clash-protection
		$<$<CONFIG:Release>:-ftrivial-auto-var-init=zero>)
endif()
if(POSTERN_WERROR)
	target_compile_options(postern_compiling INTERFACE -Werror)
endif()
if(POSTERN_SANITIZE)
	target_compile_options(postern_compiling INTERFACE
		-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
	target_link_options(postern_compiling INTERFACE -fsanitize=address,undefined)
else()
	target_compile_options(postern_compiling INTERFACE
		$<$<CONFIG:Release>:-U_FORTIFY_SOURCE> $<$<CONFIG:Release>:-D_FORTIFY_SOURCE=3>)
endif()
if(POSTERN_FUZZ)
	if(NOT CMAKE_C_COMPILER_ID MATCHES "Clang")
		message(FATAL_ERROR "POSTERN_FUZZ needs clang: cmake --preset fuzz")
	endif()
	# Watching each comparison costs half of the time; dictionaries say what to compare with.
	target_compile_options(postern_compiling INTERFACE
		-fsanitize=fuzzer-no-link -fno-sanitize-coverage=trace-cmp)
endif()
if(POSTERN_COVERAGE)
	target_compile_options(postern_compiling INTERFACE --coverage -O0)
	target_link_options(postern_compiling INTERFACE --coverage)
endif()
if(POSTERN_STATIC)
	# Nothing unwinds this stack: there are no exceptions, and no thread is cancelled.
	target_compile_options(postern_compiling INTERFACE -fPIE -ffunction-sections -fdata-sections
		$<$<CONFIG:Release>:-fno-asynchronous-unwind-tables>
		$<$<CONFIG:Release>:-fno-unwind-tables>)
	target_link_options(postern_compiling INTERFACE
		-static-pie -Wl,-z,relro,-z,now,-z,noexecstack -Wl,--gc-sections
		-Wl,-z,pack-relative-relocs) # a word each, not three; unknown to some: then as before
else()
	target_compile_options(postern_compiling INTERFACE -fPIE)
	target_link_options(postern_compiling INTERFACE -pie -Wl,-z,relro,-z,now)
endif()
if(POSTERN_LIBRARIES_AT)
	# What UBSan finds is a trap, see tests/sanitized/options.c.
	if(POSTERN_SANITIZE)
		target_compile_options(postern_compiling INTERFACE
			-fsanitize-undefined-trap-on-error)
	endif()
	# DT_RPATH: for what the libraries need in turn, too.
	target_link_options(postern_compiling INTERFACE -Wl,--disable-new-dtags
		-Wl,-rpath,${POSTERN_LIBRARIES_AT} -Wl,--dynamic-linker,${POSTERN_LIBRARIES_AT}/ld.so)
endif()
