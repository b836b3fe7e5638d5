# The graph room and the model families.
tenon_unit_test(graph)
tenon_unit_test(keys LIBS m)
tenon_unit_test(signature)
tenon_unit_test(memplan)
set(composite_test ${CMAKE_CURRENT_SOURCE_DIR}/unit/composite_test.c ${CMAKE_CURRENT_SOURCE_DIR}/unit/graph_eval.c)
tenon_unit_test(decompose ${composite_test} LIBS tenon_reference m)
tenon_unit_test(decompose_sample ${composite_test} LIBS tenon_reference m)
tenon_unit_test(lower ${composite_test} LIBS tenon_reference m)
foreach(family llama qwen2 gemma3)
  tenon_unit_test(${family} ${CMAKE_CURRENT_SOURCE_DIR}/unit/family_test.c ${CMAKE_CURRENT_SOURCE_DIR}/unit/graph_eval.c
    ${CMAKE_SOURCE_DIR}/models/${family}.c LIBS tenon_reference m)
endforeach()
