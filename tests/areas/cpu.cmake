# The CPU backend from inside, without a registry: its sources once more, with an entry of their own.
set(cpu_dir ${CMAKE_SOURCE_DIR}/plugins/backends/cpu)
set(cpu_machine ${CMAKE_CURRENT_SOURCE_DIR}/unit/cpu_machine.c ${CMAKE_CURRENT_SOURCE_DIR}/unit/composite_test.c
  ${CMAKE_CURRENT_SOURCE_DIR}/unit/graph_eval.c ${CMAKE_SOURCE_DIR}/plugins/quantizers/gguf.c)
foreach(noun plugin buffer state claims fuse plan profile run stream generic generic_ops generic_state)
  list(APPEND cpu_machine ${cpu_dir}/${noun}.c)
endforeach()
set_source_files_properties(${cpu_dir}/plugin.c PROPERTIES COMPILE_DEFINITIONS TENON_STATIC_PLUGIN=cpu_entry)
tenon_unit_test(cpu_tier0 ${cpu_machine} LIBS cpu_kernels_for_tests tenon_reference Threads::Threads m)
tenon_unit_test(cpu_lowered ${cpu_machine} LIBS cpu_kernels_for_tests tenon_reference Threads::Threads m)
