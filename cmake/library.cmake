# lambda_library(NAME SOURCES … LINKS …): one folder, one library, included as "NAME/header.h". LINKS names the
# libraries it may include from: ours as lambda::X, others by their own target. TARGET is the library's name where
# another program has a folder of the same name.
function(lambda_library name)
  cmake_parse_arguments(ARG "" "TARGET" "SOURCES;LINKS" ${ARGN})
  if(NOT ARG_TARGET)
    set(ARG_TARGET ${name})
  endif()
  cmake_path(GET CMAKE_CURRENT_SOURCE_DIR PARENT_PATH house)
  add_library(lambda_${ARG_TARGET} STATIC ${ARG_SOURCES})
  add_library(lambda::${ARG_TARGET} ALIAS lambda_${ARG_TARGET})
  target_include_directories(lambda_${ARG_TARGET} PUBLIC ${house})
  target_link_libraries(lambda_${ARG_TARGET} PUBLIC lambda_options ${ARG_LINKS})
endfunction()
