"""The table of the escape test, of what scene.py printed: `table.py NAME=FILE…`. Ends with 1 where anything got through."""
import json, sys

columns = [(name, json.load(open(path))) for name, path in (word.split("=", 1) for word in sys.argv[1:])]
names = list(dict.fromkeys(name for _, column in columns for name in column["ways"]))
width = max(map(len, names)) + 1
refused = through = unproven = 0
print(" " * width, *(f"{name:<14}" for name, _ in columns))
reasons = []
for name in names:
    cells, works = [], False
    for column_name, column in columns:
        got, said = column["ways"].get(name, [False, "not tried"])
        control = column["control"].get(name, [False, ""])[0]
        works |= control
        if got:
            cells.append("THROUGH")
            reasons.append(f"THROUGH  {column_name}: {name}: {said}")
        else:
            cells.append("refused" if control else "(no way)")
    through += cells.count("THROUGH")
    refused += cells.count("refused")
    unproven += not works
    print(f"{name:<{width}}", *(f"{cell:<14}" for cell in cells))
for name, column in columns:
    print(f"{name}: {column['layers']}")
proven = sum(any(column["control"].get(name, [False])[0] for _, column in columns) for name in names)
print("\n".join(reasons))
print(f"{len(names)} ways, of which {proven} work without a sandbox for one of these users; (no way): nor without a sandbox")
print(f"{refused} refused, {through} got through")
sys.exit(1 if through or proven < 40 else 0)
