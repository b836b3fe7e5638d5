# The CPU backend's kernels, tested from inside: the plugin's own objects are hidden in its .so, so they are built once more.
include(${CMAKE_SOURCE_DIR}/plugins/backends/cpu/kernels/kernels.cmake)
add_library(cpu_kernels_for_tests STATIC EXCLUDE_FROM_ALL ${TENON_CPU_KERNEL_SOURCES})
target_link_libraries(cpu_kernels_for_tests PUBLIC m)

tenon_unit_test(kernel_matmul ${CMAKE_CURRENT_LIST_DIR}/../../plugins/quantizers/gguf.c LIBS cpu_kernels_for_tests tenon_reference)
tenon_unit_test(kernel_rows LIBS cpu_kernels_for_tests)
tenon_unit_test(kernel_attention LIBS cpu_kernels_for_tests)

# Speed, on request: cmake --build DIR --target kernel_bench
add_executable(kernel_bench EXCLUDE_FROM_ALL ${CMAKE_SOURCE_DIR}/tools/kernel_bench.c)
target_include_directories(kernel_bench PRIVATE ${CMAKE_SOURCE_DIR})
target_link_libraries(kernel_bench PRIVATE cpu_kernels_for_tests)
