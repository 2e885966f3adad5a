#include <CLI/App.hpp>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "cli/commands/commands.h"
#include "cli/output/text.h"

namespace joulefarm::cli {

CLI::Validator WholeNumber(std::int64_t least) {
  return CLI::Validator(
      [least](const std::string& text) -> std::string {
        std::int64_t number = 0;
        if (absl::SimpleAtoi(text, &number) && number >= least) return "";
        return absl::StrCat("\"", OneLine(text), "\" is no whole number of at least ", least);
      },
      "");
}

void AddFormat(CLI::App& command, std::string& format) {
  command.add_option("-o,--output", format, "table, wide, json, jsonl, csv or name")
      ->check(CLI::IsMember(FormatNames()).description(""))
      ->type_name("FORMAT")
      ->default_str("table");
}

void AddListingOptions(CLI::App& command, ListingOptions& options) {
  AddFormat(command, options.format);
  command
      .add_option("--filter", options.filters,
                  "only rows whose column KEY (as in -o json) has this value; may be repeated")
      ->type_name("KEY=VALUE")
      ->take_all()
      ->expected(1)
      ->allow_extra_args(false);
  command.add_option("--limit", options.limit, "at most N rows, the newest; 0 for all")
      ->check(WholeNumber(0))
      ->type_name("N")
      ->default_str("0");
}

CLI::App* AddCommand(CLI::App& app, const std::string& name, const std::string& description,
                     const std::string& examples, const std::string& details) {
  CLI::App* command = app.add_subcommand(name, description);
  command->fallthrough();
  command->footer((details.empty() ? "" : details + "\n\n") + "Examples:\n" + examples);
  return command;
}

CLI::App* AddGroup(CLI::App& app, const std::string& name, const std::string& description,
                   const std::string& examples) {
  CLI::App* group = AddCommand(app, name, description, examples);
  group->require_subcommand(1);
  return group;
}

}  // namespace joulefarm::cli
