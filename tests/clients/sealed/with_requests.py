import sys, requests
session = requests.Session()
for path in ("/one", "/two"):
    answer = session.post(sys.argv[1] + path, json={"a": 1}, timeout=20)
    answer.raise_for_status()
print(answer.text)
