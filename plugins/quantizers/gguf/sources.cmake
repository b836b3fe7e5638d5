# The files of this plugin, for it and for the tests that build them once more.
set(TENON_GGUF_ENCODINGS)
foreach(noun plain blocks kquants iquants ternary fp4 pairs plugin)
  list(APPEND TENON_GGUF_ENCODINGS ${CMAKE_CURRENT_LIST_DIR}/${noun}.c)
endforeach()
