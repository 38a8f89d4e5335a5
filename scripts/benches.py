"""Print every benchmark of bench/ as the command that runs it, with the first line of its docstring."""

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def is_command(tree: ast.Module) -> bool:
    """Tell whether the module does something when it is run: `if __name__ == "__main__":`."""
    return any(isinstance(node, ast.If) and "__name__" in ast.unparse(node.test) for node in tree.body)


def main() -> None:
    """List the commands, sorted by name."""
    commands: list[tuple[str, str]] = []
    for path in sorted((ROOT / "bench").rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
        parts = path.relative_to(ROOT).with_suffix("").parts
        if parts[-1] == "__main__" or is_command(tree):
            name = ".".join(part for part in parts if part != "__main__")
            commands.append((name, (ast.get_docstring(tree) or "").partition("\n")[0]))
    width = max((len(name) for name, _ in commands), default=0)
    for name, text in commands:
        print(f"  .venv/bin/python -m {name:{width}}  {text}")
    if not commands:
        print("bench/ holds no benchmark: a module there with a __main__ block would be listed here.")


if __name__ == "__main__":
    main()
