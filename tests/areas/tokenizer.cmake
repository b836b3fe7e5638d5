# Tests of the tokenizer plugins: their sources are compiled into the test, so that sanitizers see them.
pkg_check_modules(PCRE2 REQUIRED IMPORTED_TARGET libpcre2-8)
set(bpe_dir ${CMAKE_SOURCE_DIR}/plugins/tokenizers/bpe)
set(bpe_sources)
foreach(noun bytes encode merge pairs plugin pre special split vocab work)
  list(APPEND bpe_sources ${bpe_dir}/${noun}.c)
endforeach()
set_source_files_properties(${bpe_dir}/plugin.c PROPERTIES COMPILE_DEFINITIONS TENON_STATIC_PLUGIN=bpe_entry)
add_library(bpe_for_tests STATIC EXCLUDE_FROM_ALL ${bpe_sources})
target_link_libraries(bpe_for_tests PUBLIC tenon_sdk PkgConfig::PCRE2)
tenon_unit_test(bpe ${CMAKE_CURRENT_SOURCE_DIR}/unit/bpe_fixture.c LIBS bpe_for_tests)
tenon_unit_test(bpe_split LIBS bpe_for_tests)

if(TARGET tenon)
  find_package(Python3 COMPONENTS Interpreter REQUIRED)
  add_test(NAME e2e.tokenizer_ids
    COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_SOURCE_DIR}/e2e/tokenizer_ids.py $<TARGET_FILE:tenon>)
  set_tests_properties(e2e.tokenizer_ids PROPERTIES TIMEOUT 300)
endif()
