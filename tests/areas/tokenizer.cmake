# Tests of the tokenizer plugins: their sources are compiled into the test, so that sanitizers see them.
pkg_check_modules(PCRE2 REQUIRED IMPORTED_TARGET libpcre2-8)
set(bpe_dir ${CMAKE_SOURCE_DIR}/plugins/tokenizers/bpe)
set(bpe_sources)
foreach(noun bytes encode merge pairs plugin pre special split vocab work)
  list(APPEND bpe_sources ${bpe_dir}/${noun}.c)
endforeach()
set_source_files_properties(${bpe_dir}/plugin.c PROPERTIES COMPILE_DEFINITIONS TENON_STATIC_PLUGIN=bpe_entry)
tenon_unit_test(bpe ${bpe_sources} LIBS PkgConfig::PCRE2)

if(TARGET tenon)
  find_package(Python3 COMPONENTS Interpreter REQUIRED)
  add_test(NAME e2e.tokenizer_ids
    COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_SOURCE_DIR}/e2e/tokenizer_ids.py $<TARGET_FILE:tenon>)
  set_tests_properties(e2e.tokenizer_ids PROPERTIES TIMEOUT 300)
endif()
