//===- Expectations.cpp - The list of known failures ------------------------===//

#include "tests/conformance/Expectations.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/LineIterator.h"
#include "llvm/Support/raw_ostream.h"

namespace npucc::test {

std::optional<Expectations> Expectations::read(const std::string &path, llvm::StringRef way) {
  auto file = llvm::MemoryBuffer::getFile(path);
  if (!file) {
    llvm::errs() << path << ": " << file.getError().message() << '\n';
    return std::nullopt;
  }
  Expectations result;
  for (llvm::line_iterator line(**file, /*SkipBlanks=*/true, '#'); !line.is_at_eof(); ++line) {
    auto [text, reason] = line->split(": ");
    auto [name, only] = text.split(" [");
    llvm::Expected<llvm::GlobPattern> pattern = llvm::GlobPattern::create(name);
    if (llvm::Error error = pattern.takeError();
        error || reason.trim().empty() || (!only.empty() && only != "npucc]")) {
      llvm::consumeError(std::move(error));
      llvm::errs() << path << ':' << line.line_number()
                   << ": expected NAME: REASON or NAME [npucc]: REASON\n";
      return std::nullopt;
    }
    if (only.empty() || way == "npucc")
      result.lines.push_back({text, std::move(*pattern)});
  }
  result.file = std::move(*file);
  return result;
}

void Expectations::check(llvm::StringRef name, llvm::StringRef message) {
  auto line = llvm::find_if(lines, [&](const Line &line) { return line.pattern.match(name); });
  bool isListed = line != lines.end();
  if (isListed)
    ++line->matches;
  if (isListed != message.empty()) {
    ++(isListed ? expected : passed);
    return;
  }
  ++wrong;
  llvm::outs() << name << ": ";
  if (isListed)
    llvm::outs() << "passes, but is listed as '" << line->text << "'\n";
  else
    llvm::outs() << message << '\n';
}

bool Expectations::finish(bool isWhole) {
  for (const Line &line : lines)
    if (isWhole && line.matches == 0) {
      ++wrong;
      llvm::outs() << line.text << ": is listed, but no case has that name\n";
    }
  llvm::outs() << passed << " passed, " << expected << " failed as expected, " << wrong
               << " differ from the list\n";
  return wrong == 0 && passed > 0;
}

} // namespace npucc::test
