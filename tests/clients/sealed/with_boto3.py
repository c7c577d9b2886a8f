"""Keys and region from the environment, as always."""
import sys, boto3
s3 = boto3.client("s3", endpoint_url=sys.argv[1], region_name="eu-west-1", config=boto3.session.Config(s3={"addressing_style": "path"}))
s3.put_object(Bucket="bucket", Key="a folder/file name.txt", Body=b"hello" * 1000)
body = s3.get_object(Bucket="bucket", Key="a folder/file name.txt")["Body"].read()
assert body == b"hello" * 1000, body[:100]
print([entry["Key"] for entry in s3.list_objects_v2(Bucket="bucket", Prefix="a f")["Contents"]])
