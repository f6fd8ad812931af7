//===- DataFile.h - Reading the YAML files under models/ ----------*- C++ -*-===//
//
// A YAML document as a tree that remembers line and column, and a reader for one
// mapping that checks names, types and ranges. Every complaint is kept and comes out
// as one error, a line each: "file:line:column: message".
//
// llvm::yaml::Stream does the parsing. Its YAMLTraits layer reports a value that is out of
// range at the enclosing mapping; here it is reported where the value stands.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "models/machine/Technology.h"

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/Twine.h"
#include "llvm/Support/Error.h"

#include <cstdint>
#include <string>
#include <vector>

namespace npucc {

struct DataNode {
  enum class Kind : uint8_t { Null, Scalar, Map, List };
  Kind kind = Kind::Null;
  std::string key;    ///< in a mapping
  std::string scalar; ///< Scalar
  bool quoted = false;
  unsigned line = 1, column = 1;       ///< of the value
  unsigned keyLine = 1, keyColumn = 1; ///< of the key, in a mapping
  std::vector<DataNode> children;
};

/// One file being read; collects what is wrong with it.
class DataFile {
public:
  explicit DataFile(llvm::StringRef fileName) : fileName(fileName) {}

  /// The document's tree; an empty Null node (and an error) when it is not YAML.
  DataNode parse(llvm::StringRef text);
  void error(unsigned line, unsigned column, const llvm::Twine &message);
  void error(const DataNode &at, const llvm::Twine &message) { error(at.line, at.column, message); }
  bool failed() const { return !messages.empty(); }
  llvm::Error takeError(); ///< success when nothing was wrong

private:
  std::string fileName;
  std::vector<std::string> messages;
};

/// Reads one mapping. Keys that nobody asked for are errors in finish().
class DataMap {
public:
  enum Need { Required, Optional };

  /// `path` names the mapping in messages ("core.matrix"; "" at the root).
  DataMap(DataFile &file, const DataNode *node, std::string path);

  const DataNode *find(llvm::StringRef key, Need need = Required);
  /// Each returns whether `out` was set.
  bool text(llvm::StringRef key, std::string &out, Need need = Required);
  bool number(llvm::StringRef key, double &out, double low, double high, Need need = Required);
  bool integer(llvm::StringRef key, int64_t &out, int64_t low, int64_t high, Need need = Required);
  bool boolean(llvm::StringRef key, bool &out, Need need = Required);
  /// One of `names`; sets `out` to its index.
  bool choice(llvm::StringRef key, llvm::ArrayRef<llvm::StringRef> names, size_t &out,
              Need need = Required);
  /// {value, low, high, unit, source, confidence}
  bool constant(llvm::StringRef key, Constant &out, llvm::StringRef unit, Need need = Required);
  DataMap map(llvm::StringRef key, Need need = Required);

  /// Every entry, for mappings whose keys are data.
  llvm::ArrayRef<DataNode> entries() const;
  bool present() const { return node != nullptr; }
  const DataNode *where() const { return node; }
  void finish();

private:
  DataFile &file;
  const DataNode *node; ///< nullptr: absent; then every look-up stays silent
  std::string path;
  std::vector<std::string> known;

  std::string full(llvm::StringRef key) const;
};

/// A scalar as a number; reports and returns false when it is none or out of range.
bool readNumber(DataFile &file, const DataNode &node, const llvm::Twine &what, double low,
                double high, double &out);
/// A {value, low, high, unit, source, confidence} mapping.
bool readConstant(DataFile &file, const DataNode &node, const std::string &path,
                  llvm::StringRef unit, Constant &out);

/// "; did you mean 'x'?" for the name that is nearest to `given`, or "".
std::string suggestion(llvm::StringRef given, llvm::ArrayRef<std::string> names);

/// Whole file as text; the error names the file.
llvm::Expected<std::string> readDataText(const std::string &path);
/// Names (without .yaml) of the data files in models/<kind>.
std::vector<std::string> listDataFiles(llvm::StringRef kind);

} // namespace npucc
