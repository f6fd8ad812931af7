//===- DataFile.cpp - Reading the YAML files under models/ ----------------===//

#include "models/machine/DataFile.h"
#include "models/machine/Machine.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/SourceMgr.h"
#include "llvm/Support/YAMLParser.h"

#include <cmath>

using namespace llvm;

namespace npucc {

namespace {

constexpr unsigned kMaxDepth = 32;
constexpr size_t kMaxMessages = 20;

/// Turns llvm::yaml nodes, which can be walked only once and in order, into a tree.
class TreeBuilder {
public:
  TreeBuilder(DataFile &file, SourceMgr &sources) : file(file), sources(sources) {}

  DataNode build(yaml::Node *node, unsigned depth) {
    DataNode result;
    if (!node)
      return result;
    place(node, result.line, result.column);
    if (depth > kMaxDepth) {
      file.error(result, "nested too deeply");
      return result;
    }
    if (auto *scalar = dyn_cast<yaml::ScalarNode>(node)) {
      SmallString<64> storage;
      result.kind = DataNode::Kind::Scalar;
      result.scalar = scalar->getValue(storage).str();
      StringRef raw = scalar->getRawValue();
      result.quoted = raw.starts_with("\"") || raw.starts_with("'");
    } else if (auto *block = dyn_cast<yaml::BlockScalarNode>(node)) {
      result.kind = DataNode::Kind::Scalar;
      result.scalar = block->getValue().str();
      result.quoted = true;
    } else if (auto *list = dyn_cast<yaml::SequenceNode>(node)) {
      result.kind = DataNode::Kind::List;
      for (yaml::Node &entry : *list)
        result.children.push_back(build(&entry, depth + 1));
    } else if (auto *map = dyn_cast<yaml::MappingNode>(node)) {
      result.kind = DataNode::Kind::Map;
      for (yaml::KeyValueNode &entry : *map)
        addEntry(result, entry, depth);
    } else if (isa<yaml::AliasNode>(node)) {
      file.error(result, "aliases are not supported");
    }
    return result;
  }

private:
  DataFile &file;
  SourceMgr &sources;

  void place(yaml::Node *node, unsigned &line, unsigned &column) {
    SMLoc start = node->getSourceRange().Start;
    if (start.isValid())
      std::tie(line, column) = sources.getLineAndColumn(start);
  }

  void addEntry(DataNode &map, yaml::KeyValueNode &entry, unsigned depth) {
    yaml::Node *keyNode = entry.getKey();
    unsigned line = map.line, column = map.column;
    SmallString<32> storage;
    std::string key;
    if (keyNode)
      place(keyNode, line, column);
    if (auto *scalar = dyn_cast_or_null<yaml::ScalarNode>(keyNode))
      key = scalar->getValue(storage).str();
    else
      file.error(line, column, "a key must be plain text");
    DataNode value = build(entry.getValue(), depth + 1);
    // An empty value has no place of its own.
    if (value.kind == DataNode::Kind::Null) {
      value.line = line;
      value.column = column;
    }
    value.key = std::move(key);
    value.keyLine = line;
    value.keyColumn = column;
    if (any_of(map.children, [&](const DataNode &other) { return other.key == value.key; }))
      file.error(line, column, "key '" + value.key + "' stands twice");
    map.children.push_back(std::move(value));
  }
};

std::string list(ArrayRef<StringRef> names) { return join(names.begin(), names.end(), ", "); }

std::string shortNumber(double value) { return formatv("{0}", value).str(); }

/// A bound as people write it: 4096, 1e+12, 0.5.
std::string boundText(double value) {
  char buffer[32];
  snprintf(buffer, sizeof buffer, "%.10g", value);
  return buffer;
}

} // namespace

void DataFile::error(unsigned line, unsigned column, const Twine &message) {
  if (messages.size() < kMaxMessages)
    messages.push_back(
        (Twine(fileName) + ":" + Twine(line) + ":" + Twine(column) + ": " + message).str());
}

Error DataFile::takeError() {
  if (messages.empty())
    return Error::success();
  return createStringError(join(messages, "\n"));
}

DataNode DataFile::parse(StringRef text) {
  SourceMgr sources;
  sources.setDiagHandler(
      [](const SMDiagnostic &diagnostic, void *context) {
        static_cast<DataFile *>(context)->error(
            diagnostic.getLineNo(), diagnostic.getColumnNo() + 1, diagnostic.getMessage());
      },
      this);
  yaml::Stream stream(text, sources, /*ShowColors=*/false);
  yaml::document_iterator document = stream.begin();
  DataNode root;
  if (document != stream.end())
    root = TreeBuilder(*this, sources).build(document->getRoot(), 0);
  if (!stream.failed() && !failed() && document != stream.end() && ++document != stream.end())
    error(1, 1, "more than one YAML document in the file");
  if (stream.failed() && !failed())
    error(1, 1, "not valid YAML");
  if (!failed() && root.kind != DataNode::Kind::Map)
    error(root, "expected a mapping of keys to values");
  return root;
}

std::string suggestion(StringRef given, ArrayRef<std::string> names) {
  unsigned best = std::max<unsigned>(2, given.size() / 3) + 1;
  StringRef nearest;
  for (const std::string &name : names) {
    unsigned distance = given.edit_distance(name, /*AllowReplacements=*/true, best);
    if (distance < best) {
      best = distance;
      nearest = name;
    }
  }
  return nearest.empty() ? "" : ("; did you mean '" + nearest + "'?").str();
}

bool readNumber(DataFile &file, const DataNode &node, const Twine &what, double low, double high,
                double &out) {
  double value = 0;
  if (node.kind != DataNode::Kind::Scalar || node.quoted ||
      StringRef(node.scalar).getAsDouble(value) || !std::isfinite(value)) {
    file.error(node, what + " must be a number" +
                         (node.kind == DataNode::Kind::Scalar ? ", not '" + node.scalar + "'"
                                                              : std::string()));
    return false;
  }
  if (value < low || value > high) {
    file.error(node, what + " is " + node.scalar + "; it must be from " + boundText(low) + " to " +
                         boundText(high));
    return false;
  }
  out = value;
  return true;
}

bool readConstant(DataFile &file, const DataNode &node, const std::string &path, StringRef unit,
                  Constant &out) {
  DataMap map(file, &node, path);
  constexpr double kLargest = 1e18;
  bool ok = map.number("value", out.value, 0, kLargest);
  ok &= map.number("low", out.low, 0, kLargest);
  ok &= map.number("high", out.high, 0, kLargest);
  ok &= map.text("unit", out.unit);
  ok &= map.text("source", out.source);
  size_t confidence = 0;
  static const StringRef kLevels[] = {"high", "medium", "low"};
  if (map.choice("confidence", kLevels, confidence))
    out.confidence = kLevels[confidence].str();
  map.finish();
  if (!ok)
    return false;
  if (!unit.empty() && out.unit != unit)
    file.error(node, path + ".unit is '" + out.unit + "'; it must be '" + unit + "'");
  if (out.low > out.value || out.value > out.high)
    file.error(node, path + ": low <= value <= high does not hold (" + shortNumber(out.low) + ", " +
                         shortNumber(out.value) + ", " + shortNumber(out.high) + ")");
  return true;
}

DataMap::DataMap(DataFile &file, const DataNode *node, std::string path)
    : file(file), node(node), path(std::move(path)) {
  if (node && node->kind != DataNode::Kind::Map) {
    if (!file.failed() || node->kind != DataNode::Kind::Null || !this->path.empty())
      file.error(*node, (this->path.empty() ? Twine("the file") : Twine(this->path)) +
                            " must be a mapping of keys to values");
    this->node = nullptr;
  }
}

std::string DataMap::full(StringRef key) const {
  return path.empty() ? key.str() : path + "." + key.str();
}

const DataNode *DataMap::find(StringRef key, Need need) {
  known.push_back(key.str());
  if (!node)
    return nullptr;
  for (const DataNode &child : node->children)
    if (child.key == key)
      return &child;
  if (need == Required)
    file.error(*node, "key '" + full(key) + "' is missing");
  return nullptr;
}

bool DataMap::text(StringRef key, std::string &out, Need need) {
  const DataNode *child = find(key, need);
  if (!child)
    return false;
  if (child->kind != DataNode::Kind::Scalar || child->scalar.empty()) {
    file.error(*child, full(key) + " must be text");
    return false;
  }
  out = child->scalar;
  return true;
}

bool DataMap::number(StringRef key, double &out, double low, double high, Need need) {
  const DataNode *child = find(key, need);
  return child && readNumber(file, *child, full(key), low, high, out);
}

bool DataMap::integer(StringRef key, int64_t &out, int64_t low, int64_t high, Need need) {
  const DataNode *child = find(key, need);
  double value = 0;
  if (!child || !readNumber(file, *child, full(key), double(low), double(high), value))
    return false;
  if (value != std::floor(value)) {
    file.error(*child, full(key) + " is " + child->scalar + "; it must be a whole number");
    return false;
  }
  out = static_cast<int64_t>(value);
  return true;
}

bool DataMap::boolean(StringRef key, bool &out, Need need) {
  const DataNode *child = find(key, need);
  if (!child)
    return false;
  if (child->kind == DataNode::Kind::Scalar && !child->quoted &&
      (child->scalar == "true" || child->scalar == "false")) {
    out = child->scalar == "true";
    return true;
  }
  file.error(*child, full(key) + " must be true or false");
  return false;
}

bool DataMap::choice(StringRef key, ArrayRef<StringRef> names, size_t &out, Need need) {
  const DataNode *child = find(key, need);
  if (!child)
    return false;
  if (child->kind == DataNode::Kind::Scalar)
    for (size_t i = 0; i < names.size(); ++i)
      if (names[i] == child->scalar) {
        out = i;
        return true;
      }
  std::string given =
      child->kind == DataNode::Kind::Scalar ? " is '" + child->scalar + "'; it" : std::string();
  file.error(*child, full(key) + given + " must be one of " + list(names));
  return false;
}

bool DataMap::constant(StringRef key, Constant &out, StringRef unit, Need need) {
  const DataNode *child = find(key, need);
  return child && readConstant(file, *child, full(key), unit, out);
}

DataMap DataMap::map(StringRef key, Need need) {
  const DataNode *child = find(key, need);
  return DataMap(file, child, full(key));
}

ArrayRef<DataNode> DataMap::entries() const {
  return node ? ArrayRef<DataNode>(node->children) : ArrayRef<DataNode>();
}

void DataMap::finish() {
  for (const DataNode &child : entries())
    if (!is_contained(known, child.key))
      file.error(child.keyLine, child.keyColumn,
                 "unknown key '" + full(child.key) + "'" + suggestion(child.key, known));
}

Expected<std::string> readDataText(const std::string &path) {
  // A directory or a device would otherwise be read as an odd file.
  if (sys::fs::exists(path) && !sys::fs::is_regular_file(path))
    return createStringError(path + ": not a file");
  auto buffer = MemoryBuffer::getFile(path, /*IsText=*/false, /*RequiresNullTerminator=*/false);
  if (!buffer)
    return createStringError(path + ": " + buffer.getError().message());
  return (*buffer)->getBuffer().str();
}

std::vector<std::string> listDataFiles(StringRef kind) {
  SmallString<128> folder(modelsFolder());
  sys::path::append(folder, kind);
  std::vector<std::string> names;
  std::error_code code;
  for (sys::fs::directory_iterator i(folder, code), end; i != end && !code; i.increment(code))
    if (sys::path::extension(i->path()) == ".yaml")
      names.push_back(sys::path::stem(i->path()).str());
  sort(names);
  return names;
}

} // namespace npucc
