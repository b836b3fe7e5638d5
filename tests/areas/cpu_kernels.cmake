# The CPU backend's kernels, tested from inside: tenon_cpu is what the plugin is linked from.
tenon_unit_test(kernel_matmul ${TENON_GGUF_ENCODINGS} ${CMAKE_SOURCE_DIR}/plugins/quantizers/checkpoints/affine.c LIBS tenon_cpu)
tenon_unit_test(kernel_activations LIBS tenon_cpu)
tenon_unit_test(kernel_rows LIBS tenon_cpu)
tenon_unit_test(kernel_attention LIBS tenon_cpu)

# Speed, on request: cmake --build DIR --target kernel_bench
add_executable(kernel_bench EXCLUDE_FROM_ALL ${CMAKE_SOURCE_DIR}/tools/kernel_bench.c)
target_include_directories(kernel_bench PRIVATE ${CMAKE_SOURCE_DIR})
target_link_libraries(kernel_bench PRIVATE tenon_cpu)
add_executable(kernel_table EXCLUDE_FROM_ALL ${CMAKE_SOURCE_DIR}/tools/kernel_table.c)
target_include_directories(kernel_table PRIVATE ${CMAKE_SOURCE_DIR})
target_link_libraries(kernel_table PRIVATE tenon_cpu Threads::Threads)
add_executable(program_bench EXCLUDE_FROM_ALL ${CMAKE_SOURCE_DIR}/tools/program_bench.c)
target_include_directories(program_bench PRIVATE ${CMAKE_SOURCE_DIR})
target_link_libraries(program_bench PRIVATE tenon_cpu ${CMAKE_DL_LIBS})
