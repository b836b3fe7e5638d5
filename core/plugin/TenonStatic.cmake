# With TENON_STATIC_PLUGINS, tenon_plugin() lists each plugin's entry function and library in global properties. When the
# top level is through, the table of them is written and the libraries are linked to whoever links the host, and
# into libtenon.
function(tenon_write_static_table table)
  get_property(entries GLOBAL PROPERTY TENON_STATIC_ENTRIES)
  get_property(libs GLOBAL PROPERTY TENON_STATIC_LIBS)
  set(declarations "")
  set(rows "")
  foreach(entry lib IN ZIP_LISTS entries libs)
    string(REGEX REPLACE "^tenon-" "" name ${lib})
    string(APPEND declarations "extern tenon_plugin_entry_fn ${entry};\n")
    string(APPEND rows "    {\"${name}\", ${entry}},\n")
    target_link_libraries(tenon_core INTERFACE ${lib})
    target_link_libraries(tenon_library PRIVATE ${lib})
  endforeach()
  file(CONFIGURE OUTPUT ${table} CONTENT
"/* Written by CMake: the plugins linked into this build. */
#include \"core/plugin/static_table.h\"

@declarations@
const struct tn_static_plugin tn_static_plugins[] = {
@rows@    {NULL, NULL},
};
" @ONLY)
endfunction()
cmake_language(EVAL CODE "cmake_language(DEFER DIRECTORY [[${CMAKE_SOURCE_DIR}]] CALL tenon_write_static_table [[${static_table}]])")
