# lambda_library(NAME SOURCES … LINKS …): one folder, one library, included as "NAME/header.h". LINKS names the
# libraries it may include from: ours as lambda::X, others by their own target.
function(lambda_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINKS" ${ARGN})
  cmake_path(GET CMAKE_CURRENT_SOURCE_DIR PARENT_PATH house)
  add_library(lambda_${name} STATIC ${ARG_SOURCES})
  add_library(lambda::${name} ALIAS lambda_${name})
  target_include_directories(lambda_${name} PUBLIC ${house})
  target_link_libraries(lambda_${name} PUBLIC lambda_options ${ARG_LINKS})
endfunction()
