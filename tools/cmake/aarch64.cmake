# The toolchain of tools/cross: gcc for aarch64 against a folder of Debian's arm64 packages (TENON_SYSROOT), its programs run by qemu.
# What processor qemu is stands in QEMU_CPU when a test runs.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES TENON_SYSROOT)
set(CMAKE_SYSROOT ${TENON_SYSROOT})
set(CMAKE_FIND_ROOT_PATH ${TENON_SYSROOT})
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-aarch64 -L ${TENON_SYSROOT})
set(ENV{PKG_CONFIG_SYSROOT_DIR} ${TENON_SYSROOT})
set(ENV{PKG_CONFIG_LIBDIR} ${TENON_SYSROOT}/usr/lib/aarch64-linux-gnu/pkgconfig:${TENON_SYSROOT}/usr/share/pkgconfig)
