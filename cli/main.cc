#include <string>
#include <vector>

#include "cli/app.h"
#include "cli/system_console.h"

int main(int argc, char** argv) {
  joulefarm::cli::SystemConsole system;
  return joulefarm::cli::RunCli(std::vector<std::string>(argv + 1, argv + argc), system.console());
}
