# Tests of the chat-template interpreter. The comparisons with the Python package Jinja2 say so and are skipped where it
# is missing.
tenon_unit_test(template)
tenon_fuzz_target(template)

if(TARGET tenon)
  find_package(Python3 COMPONENTS Interpreter REQUIRED)
  add_executable(render_templates ${CMAKE_CURRENT_SOURCE_DIR}/tools/render_main.c)
  target_link_libraries(render_templates PRIVATE tenon_core)
  set(renderer --renderer $<TARGET_FILE:render_templates>)
  add_test(NAME e2e.template_snippets
    COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_SOURCE_DIR}/e2e/template_snippets.py ${renderer})
  # A seventh of the 15,540 renderings, other inputs for each template; by hand without --every all of them.
  add_test(NAME e2e.template_diff
    COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_SOURCE_DIR}/e2e/template_diff.py ${renderer} --every 7)
  add_test(NAME e2e.template_json
    COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_SOURCE_DIR}/e2e/template_json.py --renderer "$<TARGET_FILE:tenon> template")
  set_tests_properties(e2e.template_snippets e2e.template_diff e2e.template_json
    PROPERTIES TIMEOUT 900 SKIP_RETURN_CODE 77)
endif()
