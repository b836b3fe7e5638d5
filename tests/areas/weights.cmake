# Weights, their files and their encodings.
set(gguf ${CMAKE_SOURCE_DIR}/plugins/weights/gguf)
set(gguf_sources ${gguf}/cursor.c ${gguf}/names.c ${gguf}/meta.c ${gguf}/types.c ${gguf}/tensors.c ${gguf}/shards.c
  ${gguf}/plugin.c)

tenon_unit_test(gguf ${gguf_sources} ${CMAKE_CURRENT_SOURCE_DIR}/unit/counted_memory.c)
tenon_unit_test(gguf_shards ${gguf_sources})
if(TARGET test_gguf) # its memory is counted
  target_link_options(test_gguf PRIVATE -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=free)
endif()
tenon_unit_test(encoding ${CMAKE_SOURCE_DIR}/plugins/quantizers/gguf.c)
tenon_unit_test(files)
tenon_fuzz_target(gguf ${gguf_sources})

# For tests/e2e/encodings_gguf.py.
if(TENON_TESTS)
  add_executable(decode_gguf ${CMAKE_CURRENT_SOURCE_DIR}/tools/decode_main.c ${CMAKE_SOURCE_DIR}/plugins/quantizers/gguf.c)
  target_link_libraries(decode_gguf PRIVATE tenon_core tenon_reference)
endif()
